/** When a stream writes checkpoints, and how it goes on from one. What they hold is content.ts, where they lie checkpoints.ts. */
import { CheckpointStore } from "./checkpoints.ts";
import { type Content, readContent, writeContent } from "./content.ts";
import { CHANNELS } from "./stats.ts";
import type { Sink, SinkPosition } from "./types.ts";

/** Bytes of a checkpoint. */
const CHECKPOINT_BYTES_MAX = 1 << 30;

/** See the head of this file. */
export class Recovery {
  readonly #options: { readonly dir: string; readonly everyMs: number } | undefined;
  readonly #now: () => number;
  #store: CheckpointStore | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  /** True if something happened since the last checkpoint. */
  #changed = false;
  #written = 0;
  #writtenAt: number | undefined;

  constructor(options: { readonly dir: string; readonly everyMs: number } | undefined, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  get stats(): { readonly checkpoints: number; readonly checkpointAt: number | undefined } {
    return { checkpoints: this.#written, checkpointAt: this.#writtenAt };
  }

  /** When the next checkpoint is due; Infinity while there is nothing new to keep. */
  get dueAt(): number {
    return this.#changed ? this.#dueAt : Number.POSITIVE_INFINITY;
  }

  /** Something happened that the last checkpoint does not know. */
  note(): void {
    this.#changed = true;
  }

  /** Reads the last checkpoint into the parts of a stream; gives where its sink stood. @throws FourfoldError ERR_FOURFOLD_CHECKPOINT */
  async restore(content: Content): Promise<SinkPosition | undefined> {
    if (!this.#options) return undefined;
    const { dir, everyMs } = this.#options;
    // A checkpoint that is not whole is not the end: the one before it is.
    this.#store = await CheckpointStore.open(dir, { bytesMax: CHECKPOINT_BYTES_MAX, onDamaged: (error) => process.emitWarning(error) });
    const bytes = await this.#store.latest();
    this.#dueAt = this.#now() + everyMs;
    return bytes && readContent(bytes, content, dir);
  }

  /** Writes a checkpoint if one is due, or `now` is true. All results that were given must have left the stream. */
  async save(content: Content, sink: Sink | undefined, stream: object, now = false): Promise<void> {
    const started = this.#now();
    if (!this.#store || (!now && started < this.dueAt)) return;
    this.#changed = false;
    const position = await sink?.flush?.();
    const bytes = writeContent(content, position);
    await this.#store.write(bytes);
    this.#written++;
    this.#writtenAt = this.#now();
    this.#dueAt = this.#writtenAt + this.#options!.everyMs;
    if (CHANNELS.checkpoint.hasSubscribers) CHANNELS.checkpoint.publish({ stream, bytes: bytes.length, ms: this.#writtenAt - started });
  }

  /** Lets the folder go. */
  async close(): Promise<void> {
    await this.#store?.close();
  }
}
