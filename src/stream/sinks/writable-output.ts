/** A Writable that a sink writes to, at the pace of its reader. It is not ended: who made it ends it. It cannot go back. */
import type { Writable } from "node:stream";
import { FourfoldError, systemReason } from "../../errors.ts";

/** See the head of this file. */
export class WritableOutput {
  readonly #to: Writable;
  readonly #onError = (error: Error): void => this.#fail(error);
  readonly #onClose = (): void => this.#fail(undefined);
  /** Wakes who waits for room, for the last write, or for the end of all. */
  #wake: () => void = () => {};
  #pending = 0;
  #failed: FourfoldError | undefined;
  #told = false;

  constructor(to: Writable) {
    this.#to = to;
  }

  /** @throws FourfoldError ERR_FOURFOLD_OUTPUT if it has ended */
  async open(header: string): Promise<void> {
    const { destroyed, writableEnded, errored } = this.#to;
    if (destroyed || writableEnded) throw unwritable(errored ?? undefined);
    this.#to.on("error", this.#onError).on("close", this.#onClose);
    if (header !== "") await this.write([header]);
  }

  /** @throws FourfoldError ERR_FOURFOLD_OUTPUT */
  async write(pieces: Iterable<string>): Promise<void> {
    for (const piece of pieces) {
      this.#throwFailure();
      this.#pending++;
      const hasRoom = this.#to.write(piece, (error) => {
        this.#pending--;
        if (error) this.#fail(error);
        else this.#wake();
      });
      if (!hasRoom) await this.#until(() => !this.#to.writableNeedDrain, "drain");
    }
    this.#throwFailure();
  }

  /** Waits until the Writable has taken all that was written: what lies in its buffer when a checkpoint is made could be lost. */
  async flush(): Promise<void> {
    await this.#until(() => this.#pending === 0, "drain");
    this.#throwFailure();
  }

  /** Waits as `flush` does. @throws FourfoldError ERR_FOURFOLD_OUTPUT unless it was thrown before */
  async close(): Promise<void> {
    await this.#until(() => this.#pending === 0, "drain");
    this.#to.off("close", this.#onClose).off("error", this.#onError);
    if (!this.#told) this.#throwFailure();
  }

  async #until(isDone: () => boolean, event: string): Promise<void> {
    const wake = (): void => this.#wake();
    this.#to.on(event, wake);
    while (this.#failed === undefined && !isDone())
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#to.off(event, wake);
  }

  #throwFailure(): void {
    if (!this.#failed) return;
    this.#told = true;
    throw this.#failed;
  }

  #fail(error: unknown): void {
    this.#failed ??= unwritable(error);
    this.#wake();
  }
}

function unwritable(cause: unknown): FourfoldError {
  const reason = cause === undefined ? "it has ended" : (systemReason(cause) ?? (cause as Error).message);
  return new FourfoldError("ERR_FOURFOLD_OUTPUT", `the sink's Writable cannot be written: ${reason}`, {
    fix: "Keep it open until the stream has ended; results that it did not take are given again from the last checkpoint",
    ...(cause === undefined ? {} : { cause }),
  });
}
