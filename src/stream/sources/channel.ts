/** Many givers, one taker: each giver waits until what it gave was taken, so that nothing piles up. */

interface Offer<T> {
  readonly item: T;
  readonly settle: (taken: boolean) => void;
}

export class Channel<T> {
  readonly #offers: Offer<T>[] = [];
  #closed = false;
  #error: unknown;
  #wake: (() => void) | undefined;

  /** Waits until `item` is taken; false if the channel was closed before. */
  put(item: T): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    return new Promise((settle) => {
      this.#offers.push({ item, settle });
      this.#wake?.();
    });
  }

  /** What is put, in order, until the channel is closed. Throws what it was closed with. */
  async *items(): AsyncGenerator<T> {
    try {
      while (!this.#closed) {
        const offer = this.#offers.shift();
        if (offer !== undefined) {
          offer.settle(true);
          yield offer.item;
          continue;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
      if (this.#error !== undefined) throw this.#error;
    } finally {
      this.close();
    }
  }

  /** Ends the items, and the waiting of all who give. */
  close(error?: unknown): void {
    if (!this.#closed) this.#error = error;
    this.#closed = true;
    for (const { settle } of this.#offers.splice(0)) settle(false);
    this.#wake?.();
  }
}
