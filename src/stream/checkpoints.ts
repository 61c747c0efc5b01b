/** Where a stream's checkpoints lie: a folder with two generations, `checkpoint-0` and `checkpoint-1`. It knows nothing of what they hold. */
import { type GenerationKind, type GenerationOptions, GenerationStore } from "../durable/generations.ts";

const CHECKPOINTS: GenerationKind = {
  magic: "FFCP",
  noun: "checkpoint",
  code: "ERR_FOURFOLD_CHECKPOINT",
  limit: { option: "bytesMax", of: "checkpoints" },
  holds: ["checkpoints", "are"],
  owner: "stream",
  less: "keep less: shorter windows, less lateness, fewer keys",
};

/** The checkpoints of one stream. One call at a time. */
export type CheckpointStore = GenerationStore;

/** See the head of this file. */
export const CheckpointStore: {
  /**
   * Makes the folder if it is not there, and takes it for this process.
   * @throws FourfoldError ERR_FOURFOLD_CHECKPOINT if another process has it, or it cannot be made or written to
   */
  open(dir: string, options: GenerationOptions): Promise<CheckpointStore>;
} = { open: (dir, options) => GenerationStore.open(dir, CHECKPOINTS, options) };
