/**
 * What a tensor backend's thread loads: it waits for requests, runs them one after the other and answers each. The
 * operations of TensorFlow.js hold up the thread they run on, and so does the error bound, so both are here and not on the caller's.
 */
import { parentPort, workerData } from "node:worker_threads";
import { FourfoldError } from "../errors.ts";
import { errorBound } from "../reduce/bound.ts";
import { carry } from "../reduce/carried.ts";
import { boundOfSizes, rowSizes } from "../reduce/sizes.ts";
import type { TensorBackendName } from "./tensor-backends.ts";
import type { Program, Reply, Request } from "./tensors.ts";
import { loadTfjs, type TensorBackend } from "./tfjs.ts";
import type { Resident } from "./tfjs-levels.ts";

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
        const { sizes, copy } = request;
        const resident = copy === undefined ? undefined : copies.get(copy)!;
        const data = resident ? await resident.leaves() : request.data;
        const rows = resident && sizing ? rowSizes(sizing, data) : sizes;
        const bounds = (sizing && rows && boundOfSizes(sizing, rows, data)) ?? errorBound(fitted, data, backend.arithmetic);
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
    const told = coded(error);
    // Another device takes the place of one that failed: it has none of its memory.
    if (told.code === "ERR_FOURFOLD_DEVICE") forgetCopies();
    reply({ id, error: carry(told) });
  }
}

/** An error with a code: what a library throws by itself is its own failure, or that there was no memory. */
function coded(error: unknown): FourfoldError {
  if (error instanceof FourfoldError) return error;
  const said = (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
  const noMemory = error instanceof RangeError || /\bOOM\b|out of memory|allocat/i.test(said);
  return new FourfoldError(noMemory ? "ERR_FOURFOLD_MEMORY" : "ERR_FOURFOLD_DEVICE", `backend "${workerData}" failed: ${said}`, {
    fix: noMemory ? 'Run fewer frames at once, or use backend "wasm"' : 'Use backend "wasm"',
    cause: error,
  });
}

function forgetCopies(): void {
  for (const copy of copies.values())
    try {
      copy.dispose();
    } catch {
      // gone with its device
    }
  copies.clear();
}

/** Posts an answer; the memory of its arrays goes along. */
function reply(message: Reply, arrays: readonly (Float64Array | undefined)[] = []): void {
  const buffers = new Set(arrays.map((array) => array?.buffer));
  port.postMessage(
    message,
    [...buffers].filter((buffer) => buffer instanceof ArrayBuffer),
  );
}
