/**
 * What a tensor backend's thread loads: it waits for requests, runs them one after the other and answers each. The
 * operations of TensorFlow.js hold up the thread they run on, and so does the error bound, so both are here and not on the caller's.
 */
import { parentPort, workerData } from "node:worker_threads";
import { errorBound } from "../reduce/bound.ts";
import { boundOfSizes } from "../reduce/sizes.ts";
import { carry } from "./carried.ts";
import type { Program, Reply, Request } from "./tensors.ts";
import { loadTfjs, type Resident, type TensorBackend, type TensorBackendName } from "./tfjs.ts";

const port = parentPort!;
const programs = new Map<number, Program>();
const copies = new Map<number, Resident>();
let backend: TensorBackend | undefined;
let turn: Promise<void> = Promise.resolve();

port.on("message", (request: Request) => {
  if (request.kind === "end") process.exit(0);
  turn = turn.then(() => answer(request));
});

async function answer(request: Exclude<Request, { kind: "end" }>): Promise<void> {
  if (request.kind === "forget") return void programs.delete(request.program);
  if (request.kind === "drop") {
    copies.get(request.copy)?.dispose();
    return void copies.delete(request.copy);
  }
  const { id } = request;
  try {
    backend ??= await loadTfjs(workerData as TensorBackendName);
    if ("load" in request && request.load) programs.set(request.program, request.load);
    switch (request.kind) {
      case "open":
        return reply({ id, result: { version: backend.version, processor: backend.processor, software: backend.software } });
      case "upload":
        copies.set(request.copy, await backend.upload(request.data));
        return reply({ id, result: undefined });
      case "bound": {
        const { fitted, sizing } = programs.get(request.program)!;
        const { data, sizes } = request;
        const bounds = (sizing && sizes && boundOfSizes(sizing, sizes, data)) ?? errorBound(fitted, data, backend.arithmetic);
        return reply({ id, result: bounds }, [bounds]);
      }
      case "run": {
        const { fitted, keep } = programs.get(request.program)!;
        const { data, copy, clean } = request;
        const started = performance.now();
        const levels = await backend.run(fitted, copy === undefined ? data : copies.get(copy)!, keep, clean);
        const result = { levels, processMs: performance.now() - started };
        return reply(
          { id, result },
          levels.flatMap((level) => (level ? [level.values, level.records] : [])),
        );
      }
    }
  } catch (error) {
    reply({ id, error: carry(error) });
  }
}

/** Posts an answer; the memory of its arrays goes along. */
function reply(message: Reply, arrays: readonly (Float64Array | undefined)[] = []): void {
  const buffers = new Set(arrays.map((array) => array?.buffer));
  port.postMessage(
    message,
    [...buffers].filter((buffer) => buffer instanceof ArrayBuffer),
  );
}
