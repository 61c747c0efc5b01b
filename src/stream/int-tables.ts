/** Hash tables of small integers, in typed arrays: open addressing, at most half full. A Map takes several times as long and boxes numbers. */

/** A number that no entry has. */
const NONE = -1;

/** Spreads integers over 32 bits (the finalizer of MurmurHash3, by A. Appleby, public domain). */
function mixed(n: number): number {
  let h = n ^ (n >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Integers from 0 on, each once: the number of an integer says when it came. */
export class IntSet {
  #slots: Int32Array;
  #values: Int32Array;
  #size = 0;

  constructor(room = 8) {
    this.#values = new Int32Array(room);
    this.#slots = new Int32Array(2 * room).fill(NONE);
  }

  get size(): number {
    return this.#size;
  }

  /** The integer with a number. */
  at(number: number): number {
    return this.#values[number]!;
  }

  /** The number of an integer, or −1. */
  find(value: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = mixed(value) & mask; ; slot = (slot + 1) & mask) {
      const number = slots[slot]!;
      if (number === NONE || this.#values[number] === value) return number;
    }
  }

  /** Adds an integer that is not there and gives its number. */
  add(value: number): number {
    if (this.#size === this.#values.length) this.#grow();
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = mixed(value) & mask;
    while (slots[slot] !== NONE) slot = (slot + 1) & mask;
    slots[slot] = this.#size;
    this.#values[this.#size] = value;
    return this.#size++;
  }

  /** The same set with other integers in the place of its own. */
  mapped(to: Int32Array): IntSet {
    const set = new IntSet(this.#values.length);
    for (let number = 0; number < this.#size; number++) set.add(to[this.#values[number]!]!);
    return set;
  }

  #grow(): void {
    const values = this.#values;
    this.#values = new Int32Array(2 * values.length);
    this.#slots = new Int32Array(2 * this.#slots.length).fill(NONE);
    this.#size = 0;
    for (const value of values) this.add(value);
  }
}

/** Pairs of integers from 0 on, each once. */
export class PairSet {
  #slots = new Int32Array(16).fill(NONE);
  #firsts = new Int32Array(8);
  #seconds = new Int32Array(8);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  first(number: number): number {
    return this.#firsts[number]!;
  }

  second(number: number): number {
    return this.#seconds[number]!;
  }

  /** The number of a pair, which is the next one if it is new. */
  number(first: number, second: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hashOf(first, second) & mask;
    for (; slots[slot] !== NONE; slot = (slot + 1) & mask) {
      const number = slots[slot]!;
      if (this.#firsts[number] === first && this.#seconds[number] === second) return number;
    }
    if (this.#size === this.#firsts.length) {
      this.#grow();
      return this.number(first, second);
    }
    slots[slot] = this.#size;
    this.#firsts[this.#size] = first;
    this.#seconds[this.#size] = second;
    return this.#size++;
  }

  #grow(): void {
    this.#firsts = doubled(this.#firsts);
    this.#seconds = doubled(this.#seconds);
    const slots = new Int32Array(2 * this.#slots.length).fill(NONE);
    const mask = slots.length - 1;
    for (let number = 0; number < this.#size; number++) {
      let slot = hashOf(this.#firsts[number]!, this.#seconds[number]!) & mask;
      while (slots[slot] !== NONE) slot = (slot + 1) & mask;
      slots[slot] = number;
    }
    this.#slots = slots;
  }
}

function hashOf(first: number, second: number): number {
  return mixed(Math.imul(first, 0x9e3779b1) ^ second);
}

function doubled(values: Int32Array): Int32Array<ArrayBuffer> {
  const more = new Int32Array(2 * values.length);
  more.set(values);
  return more;
}
