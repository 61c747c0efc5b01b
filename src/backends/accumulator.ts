/**
 * Exact sums of whole lists, by the kernels `accumulate…` (contract clauses 3, 8, 9): the list is copied into kernel memory slice
 * by slice, and the sum read from there once, at the end. reduce/exact.ts is the definition.
 *
 * Kernel memory is made at the first list and kept, since to compile the kernels takes as long as to add a million numbers. It is
 * no state: between two calls it holds nothing, so that no call can tell whether another one came before it.
 */
import { FourfoldError, show } from "../errors.ts";
import { isDetached, typedArrayName } from "../reduce/arrays.ts";
import { ExactSum } from "../reduce/exact.ts";
import { loadKernelModule } from "./kernels.ts";

/** Lists whose exact sum can be taken. 64-bit integers are added exactly, too, beyond 2^53. */
export type Addends = Iterable<number> | BigInt64Array | BigUint64Array;

/** Lists of factors. */
export type Factors =
  | readonly number[]
  | Float64Array
  | Float32Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray;

/** A sum in kernel memory: 136 chunks, Σ chunk[i]·2^(32·i − 2148), then the counts of NaN, +Infinity and −Infinity, all i64. */
const CHUNKS = 136;
const CHUNK_LOWEST = -2148;
const SUM_BYTES = 8 * (CHUNKS + 3);

/** Values of a slice: 32 KiB of values and as many of weights, which stay in the cache. From 512 to 65536 the time is the same. */
const SLICE = 4096;

/** What kernels may read past an end. */
const SLACK = 64;

/** Kernels start at the second page. */
const PAGE = 65536;
const VALUES = PAGE;
const WEIGHTS = VALUES + 8 * SLICE + SLACK;
const SUM = WEIGHTS + 8 * SLICE + SLACK;
const PAGES = Math.ceil((SUM + SUM_BYTES + SLACK) / PAGE);

interface Exports {
  accumulate_f32(x: number, n: number, sum: number): void;
  accumulate_f64(x: number, n: number, sum: number): void;
  accumulateProducts_f64(x: number, w: number, n: number, sum: number): void;
}

/** The exact sum of a list. */
export interface ListSum {
  readonly sum: ExactSum;
  /** Every number of the list is −0, or it is empty. */
  readonly negativeZero: boolean;
}

/** One sum in kernel memory and the slices that go into it. */
class Accumulator {
  /** Nothing but −0 was added. */
  negativeZero = true;
  /** To be filled before `add` and `addProducts`. */
  readonly values: Float64Array;
  readonly weights: Float64Array;
  /** The same place as `values`, to be filled before `addFloats`. */
  readonly floats: Float32Array;
  readonly #chunks: BigInt64Array;
  /** The same as halves. To look at one costs less than to make a bigint of a chunk. */
  readonly #halves: Int32Array;
  readonly #kernels: Exports;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
    this.#kernels = new WebAssembly.Instance(loadKernelModule(), { env: { memory } }).exports as unknown as Exports;
    this.values = new Float64Array(memory.buffer, VALUES, SLICE);
    this.weights = new Float64Array(memory.buffer, WEIGHTS, SLICE);
    this.floats = new Float32Array(memory.buffer, VALUES, SLICE);
    this.#chunks = new BigInt64Array(memory.buffer, SUM, CHUNKS + 3);
    this.#halves = new Int32Array(memory.buffer, SUM, 2 * (CHUNKS + 3));
  }

  /** Adds the first n values. */
  add(n: number): void {
    if (this.negativeZero) this.negativeZero = areNegativeZeros(this.values, n);
    this.#kernels.accumulate_f64(VALUES, n, SUM);
  }

  addFloats(n: number): void {
    if (this.negativeZero) this.negativeZero = areNegativeZeros(this.floats, n);
    this.#kernels.accumulate_f32(VALUES, n, SUM);
  }

  /** Adds the products of the first n values and weights. */
  addProducts(n: number): void {
    this.#kernels.accumulateProducts_f64(VALUES, WEIGHTS, n, SUM);
  }

  clear(): void {
    this.#halves.fill(0);
    this.negativeZero = true;
  }

  /** The sum so far, which stands for `items` items. */
  read(items: number): ExactSum {
    const chunks = this.#chunks;
    const halves = this.#halves;
    let low = 0;
    while (low < CHUNKS && (halves[2 * low]! | halves[2 * low + 1]!) === 0) low++;
    let high = CHUNKS;
    let m = 0n;
    if (chunks[CHUNKS - 1] === -1n) {
      // A negative sum ends in chunks of 2^32 − 1 under one of −1: together −1 above the chunk below them.
      m = -1n;
      high--;
      while (high > low && halves[2 * high - 2] === -1 && halves[2 * high - 1] === 0) high--;
    } else while (high > low && (halves[2 * high - 2]! | halves[2 * high - 1]!) === 0) high--;
    for (let i = high - 1; i >= low; i--) m = (m << 32n) + chunks[i]!;
    return ExactSum.from({
      m,
      exponent: CHUNK_LOWEST + 32 * low,
      nan: Number(chunks[CHUNKS]),
      positiveInfinity: Number(chunks[CHUNKS + 1]),
      negativeInfinity: Number(chunks[CHUNKS + 2]),
      items,
    });
  }
}

let idle: Accumulator | undefined;

/** Does work that may call code of others, whose own lists then get an accumulator of their own. */
function withAccumulator(work: (to: Accumulator) => number): ListSum {
  const mine = idle ?? new Accumulator();
  idle = undefined;
  try {
    const items = work(mine);
    return { sum: mine.read(items), negativeZero: mine.negativeZero };
  } finally {
    mine.clear();
    idle = mine;
  }
}

/**
 * The exact sum of a list. All of it is read before anything is made of it.
 * @throws FourfoldError ERR_FOURFOLD_DTYPE for what is no list of numbers, with the index; ERR_FOURFOLD_ARGUMENT for a transferred array
 */
export function sumOf(values: Addends, name: string): ListSum {
  const plain = plainArray(values, name);
  if (plain instanceof BigInt64Array || plain instanceof BigUint64Array) return integerSum(plain);
  if (plain !== undefined) return withAccumulator((to) => addTyped(plain, to));
  if (Array.isArray(values)) return withAccumulator((to) => addArray(values, to, name));
  if (isIterable(values)) return withAccumulator((to) => addEach(values, to, name));
  throw noList(values, name);
}

/** The exact sum of the products w[i]·x[i]. @throws FourfoldError as {@link sumOf}, and ERR_FOURFOLD_WEIGHTS for lists of two lengths */
export function dotOf(weights: Factors, values: Factors): ExactSum {
  const w = factors(weights, "weights");
  const x = factors(values, "values");
  if (w.length !== x.length)
    throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `${w.length} weights for ${x.length} values`, {
      given: w.length,
      expected: x.length,
      fix: "Give each value its weight",
    });
  const n = x.length;
  const { sum } = withAccumulator((to) => {
    for (let from = 0; from < n; from += SLICE) {
      const end = Math.min(n, from + SLICE);
      to.weights.set(w.subarray(from, end));
      to.values.set(x.subarray(from, end));
      to.addProducts(end - from);
    }
    return n;
  });
  return sum;
}

/** Whether the first n values are all −0: as a rule the first one tells. */
function areNegativeZeros(values: Float64Array | Float32Array, n: number): boolean {
  for (let i = 0; i < n; i++) if (!Object.is(values[i], -0)) return false;
  return true;
}

/** To add so few numbers one by one takes less time than a call of the kernels: 1 µs for 64, against 5 to 8. */
const SHORT_MAX = 64;

/** The numbers of a list so short that no kernel is worth its while, else undefined. @throws FourfoldError as {@link sumOf} */
export function shortList(values: Addends, name: string): Float64Array | undefined {
  const { length } = (values ?? {}) as { length?: unknown };
  if (typeof length !== "number" || length > SHORT_MAX) return undefined;
  const plain = plainArray(values, name);
  if (plain instanceof BigInt64Array || plain instanceof BigUint64Array) return undefined;
  if (plain !== undefined) return plain instanceof Float64Array ? plain : new Float64Array(plain);
  return Array.isArray(values) ? copyOf(values, name) : undefined;
}

type Plain = Exclude<Factors, readonly number[]>;

const PLAIN = {
  Float64Array,
  Float32Array,
  Int32Array,
  Uint32Array,
  Int16Array,
  Uint16Array,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  BigInt64Array,
  BigUint64Array,
} as const;

/** A typed array under a class whose methods are the language's own, or undefined for what is none that we know. */
function plainArray(values: unknown, name: string): Plain | BigInt64Array | BigUint64Array | undefined {
  const kind = PLAIN[typedArrayName(values) as keyof typeof PLAIN];
  if (kind === undefined) return undefined;
  const given = values as Plain;
  if (isDetached(given))
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${name} is an array whose memory was transferred away`, {
      given: values,
      fix: "Add it before it is transferred, or give a copy",
    });
  return given.constructor === kind ? given : new kind(given.buffer as ArrayBuffer, given.byteOffset, given.length);
}

function addTyped(values: Plain, to: Accumulator): number {
  const single = values instanceof Float32Array;
  const slice = single ? to.floats : to.values;
  const n = values.length;
  for (let from = 0; from < n; from += SLICE) {
    const part = values.subarray(from, from + SLICE);
    slice.set(part);
    if (single) to.addFloats(part.length);
    else to.add(part.length);
  }
  return n;
}

function addArray(values: readonly unknown[], to: Accumulator, name: string): number {
  const n = values.length;
  for (let from = 0; from < n; from += SLICE) {
    const end = Math.min(n, from + SLICE);
    fill(to.values, values, from, end, name);
    to.add(end - from);
  }
  return n;
}

function addEach(values: Iterable<unknown>, to: Accumulator, name: string): number {
  let n = 0;
  let filled = 0;
  for (const x of values) {
    if (typeof x !== "number") throw noNumber(x, n, name);
    to.values[filled++] = x;
    n++;
    if (filled < SLICE) continue;
    to.add(filled);
    filled = 0;
  }
  to.add(filled);
  return n;
}

/** Fills a slice with values[from] … values[end − 1]. */
function fill(slice: Float64Array, values: readonly unknown[], from: number, end: number, name: string): void {
  for (let i = from; i < end; i++) {
    const x: unknown = values[i]; // undefined where the list has a hole
    if (typeof x !== "number") throw noNumber(x, i, name);
    slice[i - from] = x;
  }
}

/** A list of factors as a typed array: a copy where it was none. */
function factors(values: unknown, name: string): Plain {
  const plain = plainArray(values, name);
  if (plain instanceof BigInt64Array || plain instanceof BigUint64Array || (plain === undefined && !Array.isArray(values)))
    throw noList(values, name);
  if (plain !== undefined) return plain;
  return copyOf(values as readonly unknown[], name);
}

function copyOf(list: readonly unknown[], name: string): Float64Array {
  const copy = new Float64Array(list.length);
  fill(copy, list, 0, copy.length, name);
  return copy;
}

function integerSum(values: BigInt64Array | BigUint64Array): ListSum {
  let m = 0n;
  for (const x of values) m += x;
  const items = values.length;
  const sum = ExactSum.from({ m, exponent: 0, nan: 0, positiveInfinity: 0, negativeInfinity: 0, items });
  return { sum, negativeZero: items === 0 };
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof (value as { [Symbol.iterator]?: unknown } | null | undefined)?.[Symbol.iterator] === "function";
}

function noNumber(x: unknown, index: number, name: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_DTYPE", `${name}[${index}] is ${show(x)}, expected a number`, {
    given: x,
    expected: "number",
    fix: "Convert it; nothing of the list was added",
    at: { index },
  });
}

function noList(values: unknown, name: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_DTYPE", `${name} is ${show(values)}, expected a list of numbers`, {
    given: values,
    expected: "a typed array, number[] or, for a sum, any iterable of numbers",
    fix: "Convert it, for example with Float64Array.from(values)",
  });
}
