/**
 * A first-in, first-out queue in an array that is used round and round. It doubles when it is full and halves when three quarters of it are free:
 * one push or shift in many copies what is held, so that on average each costs the same.
 */

/** Slots that a ring writes to: `new Float64Array(n)` for numbers, `new Array(n)` for anything else. */
export interface Slots<T> {
  readonly length: number;
  [slot: number]: T;
}

/** The fewest slots, a power of two as every number of slots is. */
const SLOTS_MIN = 16;

/** A queue whose items keep their positions: the first has position `begin`, the last `end − 1`. */
export class Ring<T> {
  readonly #make: (length: number) => Slots<T>;
  #slots: Slots<T>;
  #begin = 0;
  #end = 0;

  constructor(make: (length: number) => Slots<T>) {
    this.#make = make;
    this.#slots = make(SLOTS_MIN);
  }

  get begin(): number {
    return this.#begin;
  }

  get end(): number {
    return this.#end;
  }

  get length(): number {
    return this.#end - this.#begin;
  }

  /** The item at a position that is held. */
  get(position: number): T {
    return this.#slots[position & (this.#slots.length - 1)]!;
  }

  /** Puts another item at a position that is held. */
  set(position: number, item: T): void {
    this.#slots[position & (this.#slots.length - 1)] = item;
  }

  push(item: T): void {
    if (this.length === this.#slots.length) this.#resize(2 * this.#slots.length);
    this.set(this.#end++, item);
  }

  /** Takes the first item out; there must be one. */
  shift(): T {
    const item = this.get(this.#begin++);
    if (4 * this.length <= this.#slots.length && this.#slots.length > SLOTS_MIN) this.#resize(this.#slots.length / 2);
    return item;
  }

  #resize(length: number): void {
    const slots = this.#make(length);
    for (let position = this.#begin; position < this.#end; position++) slots[position & (length - 1)] = this.get(position);
    this.#slots = slots;
  }
}
