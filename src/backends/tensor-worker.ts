/**
 * What a tensor backend's thread loads: it waits for requests, runs them one after the other and answers each. The
 * operations of TensorFlow.js hold up the thread they run on, and so does the error bound, so both are here and not on the caller's.
 */
import { parentPort, workerData } from "node:worker_threads";
import { errorBound } from "../reduce/bound.ts";
import { carry } from "./carried.ts";
import type { Program, Reply, Request } from "./tensors.ts";
import { loadTfjs, type TensorBackend, type TensorBackendName } from "./tfjs.ts";

const port = parentPort!;
const programs = new Map<number, Program>();
let backend: TensorBackend | undefined;
let turn: Promise<void> = Promise.resolve();

port.on("message", (request: Request) => {
  if (request.kind === "end") process.exit(0);
  turn = turn.then(() => answer(request));
});

async function answer(request: Exclude<Request, { kind: "end" }>): Promise<void> {
  if (request.kind === "forget") return void programs.delete(request.program);
  const { id } = request;
  try {
    backend ??= await loadTfjs(workerData as TensorBackendName);
    if (request.kind === "open") return reply({ id, result: backend.version });
    if (request.load) programs.set(request.program, request.load);
    const { fitted, keep } = programs.get(request.program)!;
    const started = performance.now();
    const levels = await backend.run(fitted, request.data, keep);
    const reduced = performance.now();
    const bounds = errorBound(fitted, request.data, backend.arithmetic);
    const result = { levels, bounds, processMs: reduced - started, boundMs: performance.now() - reduced };
    const buffers = [bounds, ...levels.flatMap((level) => (level ? [level.values, level.records] : []))].map((array) => array?.buffer);
    reply(
      { id, result },
      [...new Set(buffers)].filter((buffer) => buffer instanceof ArrayBuffer),
    );
  } catch (error) {
    reply({ id, error: carry(error) });
  }
}

function reply(message: Reply, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
