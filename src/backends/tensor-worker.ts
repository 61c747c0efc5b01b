/**
 * What a tensor backend's thread loads: it waits for requests, runs them one after the other and answers each. The
 * operations of TensorFlow.js hold up the thread they run on, and so does the error bound, so both are here and not on the caller's.
 */
import { parentPort, workerData } from "node:worker_threads";
import { errorBound } from "../reduce/bound.ts";
import { carry } from "./carried.ts";
import type { Program, Reply, Request } from "./tensors.ts";
import { loadTfjs, type Resident, type TensorBackend, type TensorBackendName } from "./tfjs.ts";

const port = parentPort!;
const programs = new Map<number, Program>();
const copies = new Map<number, Resident>();
let backend: TensorBackend | undefined;
let turn: Promise<void> = Promise.resolve();

port.on("message", (request: Request) => {
  turn = turn.then(() => answer(request));
});

async function answer(request: Request): Promise<void> {
  if (request.kind === "forget") return void programs.delete(request.program);
  if (request.kind === "drop") {
    copies.get(request.copy)?.dispose();
    return void copies.delete(request.copy);
  }
  const { id } = request;
  try {
    backend ??= await loadTfjs(workerData as TensorBackendName);
    switch (request.kind) {
      case "open":
        return reply({ id, result: { version: backend.version, processor: backend.processor } });
      case "upload":
        copies.set(request.copy, await backend.upload(request.data));
        return reply({ id, result: undefined });
      case "bound": {
        const bounds = errorBound(request.fitted, request.data, backend.arithmetic);
        return reply({ id, result: bounds }, [bounds.buffer as ArrayBuffer]);
      }
      case "run":
        return await run(backend, request);
    }
  } catch (error) {
    reply({ id, error: carry(error) });
  }
}

async function run(
  { run, arithmetic }: TensorBackend,
  { id, program, load, data, copy }: Extract<Request, { kind: "run" }>,
): Promise<void> {
  if (load) programs.set(program, load);
  const { fitted, keep, bound } = programs.get(program)!;
  const started = performance.now();
  const levels = await run(fitted, copy === undefined ? data : copies.get(copy)!, keep);
  const reduced = performance.now();
  const bounds = bound ? errorBound(fitted, data, arithmetic) : undefined;
  const result = { levels, bounds, processMs: reduced - started, boundMs: performance.now() - reduced };
  const buffers = [bounds, ...levels.flatMap((level) => (level ? [level.values, level.records] : []))].map((array) => array?.buffer);
  reply(
    { id, result },
    [...new Set(buffers)].filter((buffer) => buffer instanceof ArrayBuffer),
  );
}

function reply(message: Reply, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
