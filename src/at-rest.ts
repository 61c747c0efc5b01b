/** Tensors at rest as inputs of an engine: what they are told by, their progress in bytes, and which of several NaN leaves is named. */
import { BYTES } from "./backends/memory.ts";
import { throwIfAborted } from "./errors.ts";
import { refuseNaN } from "./reduce/nan.ts";
import { finish } from "./reduce/slices.ts";
import { ofDtype } from "./reduce/tree.ts";
import type { PlanData } from "./schedule/plan.ts";
import type { Progress, TensorSource } from "./types.ts";

/** Bytes looked at between two turns of the event loop: about a millisecond. */
const LOOK_BYTES = 1 << 22;

/** True for what `fourfold/files` opened. */
export function isTensorSource(input: unknown): input is TensorSource {
  return typeof input === "object" && input !== null && (input as Partial<TensorSource>).kind === "fourfold.tensor";
}

/** Progress in parts as progress in bytes of the source. */
export function inBytes(tell: (progress: Progress) => void, { leaves, bytesPerLeaf }: PlanData): (progress: Progress) => void {
  const bytes = leaves * bytesPerLeaf;
  return ({ done, total }) => tell({ done: total ? Math.round((bytes * done) / total) : bytes, total: bytes, unit: "bytes" });
}

/** Throws for the first NaN of a source. @throws FourfoldError ERR_FOURFOLD_NAN with its index */
export async function refuseNaNAt(level: string, source: TensorSource, signal: AbortSignal | undefined): Promise<void> {
  const { dtype, length } = source;
  const piece = ofDtype(dtype, Math.min(length, LOOK_BYTES / BYTES[dtype]));
  for (let first = 0; first < length; first += piece.length) {
    throwIfAborted(signal);
    const some = piece.subarray(0, Math.min(piece.length, length - first));
    await source.read(some, first, { signal });
    finish(refuseNaN(level, some, undefined, first));
  }
}
