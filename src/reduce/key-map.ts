/**
 * A Map with keys of records. V8 hashes a BigInt by its lowest 64 bits, so larger ones could be chosen to meet in one place, and time would
 * grow with the square of their number. They are kept by their digits instead.
 */

/** Numbers by key. 2 and 2n are two keys here. */
export class KeyMap {
  readonly #numbers = new Map<unknown, number>();
  readonly #large = new Map<string, number>();

  get(key: unknown): number | undefined {
    return isLarge(key) ? this.#large.get(key.toString(36)) : this.#numbers.get(key);
  }

  set(key: unknown, number: number): void {
    if (isLarge(key)) this.#large.set(key.toString(36), number);
    else this.#numbers.set(key, number);
  }

  delete(key: unknown): void {
    if (isLarge(key)) this.#large.delete(key.toString(36));
    else this.#numbers.delete(key);
  }
}

function isLarge(key: unknown): key is bigint {
  return typeof key === "bigint" && BigInt.asIntN(64, key) !== key;
}
