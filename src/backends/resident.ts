/**
 * Arrays of JavaScript where kernels can reach them. An array that is used again gets a copy in kernel memory, as long as there is
 * room; any other is copied piece by piece, each reduced at once. It knows arrays and addresses, no operations and no tensors.
 */
import { FourfoldError } from "../errors.ts";
import type { Dtype, TypedData } from "../types.ts";
import type { Kernels } from "./kernels.ts";
import { BYTES, Heap } from "./memory.ts";

/** Values of one piece: 256 KiB of float32, which stay in the second-level cache until they are reduced. */
export const PIECE = 65536;

/** Bytes from which a copy that stays is worth its allocation. */
const RESIDENT_BYTES_MIN = 16384;

/** What copies leave free of the one memory, for the space of operations. */
const RESERVED_BYTES = 128 << 20;

/** The greatest limit for the copies: what the memory holds beside that and the space taken for good. */
export const RESIDENT_BYTES_MAX: number = 2 ** 32 - 2 * RESERVED_BYTES;

/** Values that kernels are to read. */
export interface Operand {
  readonly dtype: Dtype;
  /** The address of values first … first + count − 1, count ≤ {@link PIECE}. It holds until the next call for the same piece. */
  at(first: number, count: number): number;
  /** The same for `columns` values of each of `rows` rows that lie `stride` values apart, all in all ≤ {@link PIECE}. */
  window(first: number, rows: number, columns: number, stride: number): { readonly at: number; readonly stride: number };
}

/** Which of the two pieces an operand is copied to: an operation has two operands at most. */
export type Side = "x" | "w";

/** See the head of this file. */
export class Residents {
  /** Bytes in copies that stay. */
  bytesUsed = 0;
  readonly #bytesMax: number;
  readonly #heap: Heap;
  /** Arrays that were used, by the key of their owner; `at` is 0 until they have a copy. */
  readonly #used: WeakMap<object, { readonly values: TypedData; at: number }> = new WeakMap();
  readonly #pieces: Readonly<Record<Side, Piece>>;

  constructor(module: WebAssembly.Module, bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#heap = new Heap(0, module);
    this.#pieces = { x: new Piece(this), w: new Piece(this) };
  }

  /** The kernels on this memory. */
  get kernels(): Kernels {
    return this.#heap.kernels;
  }

  /** The array of `key` for kernels. The second use of one makes a copy that stays until {@link drop}. */
  operand(key: object, values: TypedData, dtype: Dtype, side: Side): Operand {
    const used = this.#used.get(key);
    if (used?.values !== values) {
      this.drop(key);
      this.#used.set(key, { values, at: 0 });
    } else if (used.at === 0 && values.byteLength >= RESIDENT_BYTES_MIN && this.bytesUsed + values.byteLength <= this.#bytesMax) {
      const block = this.#heap.allocate(values.byteLength, RESERVED_BYTES);
      if (block !== undefined) {
        this.#heap.view(dtype, block.at, values.length).set(values);
        this.bytesUsed += values.byteLength;
        used.at = block.at;
      }
    }
    const at = used?.values === values ? used.at : 0;
    return at === 0 ? new Foreign(values, dtype, this.#pieces[side]) : new Resident(at, dtype);
  }

  /** The array with its matrices [rows, columns] transposed, copied in pieces. */
  transposed(values: TypedData, dtype: Dtype, rows: number, columns: number): Operand {
    return new Transposed(values, dtype, this.#pieces.x, rows, columns);
  }

  /** Rows of `width` values in the order of their indices, copied in pieces. */
  gathered(values: TypedData, dtype: Dtype, width: number, order: Uint32Array): Operand {
    return new Gathered(values, dtype, this.#pieces.x, width, order);
  }

  /** Frees the copy of a key's array, if there is one. */
  drop(key: object): void {
    const used = this.#used.get(key);
    if (used === undefined) return;
    this.#used.delete(key);
    if (used.at === 0) return;
    this.#heap.free(used.at, used.values.byteLength);
    this.bytesUsed -= used.values.byteLength;
  }

  /** Space for the time of an operation, or for good. @throws FourfoldError ERR_FOURFOLD_MEMORY if the machine has no more */
  space(bytes: number): Space {
    const block = this.#heap.allocate(bytes, 0);
    if (block === undefined)
      throw new FourfoldError("ERR_FOURFOLD_MEMORY", `no room for ${bytes} bytes of kernel memory: the machine has no more`, {
        given: bytes,
        fix: "Dispose of tensors you no longer use, or register the backend with a smaller memoryBytesMax",
      });
    return { at: block.at, free: () => this.#heap.free(block.at, bytes) };
  }

  /** A view of kernel memory. */
  view(dtype: Dtype, at: number, length: number): TypedData {
    return this.#heap.view(dtype, at, length);
  }
}

/** A stretch of kernel memory. */
export interface Space {
  readonly at: number;
  free(): void;
}

/** A stretch that pieces are copied to. */
class Piece {
  readonly at: number;
  readonly #views: Readonly<Partial<Record<Dtype, TypedData>>>;

  constructor(residents: Residents) {
    this.at = residents.space(4 * PIECE).at;
    const view = (dtype: Dtype): TypedData => residents.view(dtype, this.at, PIECE);
    this.#views = { f32: view("f32"), i32: view("i32"), u8: view("u8") };
  }

  view(dtype: Dtype): TypedData {
    return this.#views[dtype]!;
  }
}

class Resident implements Operand {
  readonly dtype: Dtype;
  readonly #at: number;
  readonly #bytes: number;

  constructor(at: number, dtype: Dtype) {
    this.#at = at;
    this.dtype = dtype;
    this.#bytes = BYTES[dtype];
  }

  at(first: number): number {
    return this.#at + this.#bytes * first;
  }

  window(first: number, _rows: number, _columns: number, stride: number): { readonly at: number; readonly stride: number } {
    return { at: this.at(first), stride };
  }
}

/** An array of which a piece at a time is copied. */
abstract class Copied implements Operand {
  readonly dtype: Dtype;
  protected readonly values: TypedData;
  protected readonly view: TypedData;
  /** Where the piece lies. */
  protected readonly there: number;

  constructor(values: TypedData, dtype: Dtype, piece: Piece) {
    this.values = values;
    this.dtype = dtype;
    this.view = piece.view(dtype);
    this.there = piece.at;
  }

  abstract at(first: number, count: number): number;
  abstract window(first: number, rows: number, columns: number, stride: number): { readonly at: number; readonly stride: number };
}

class Foreign extends Copied {
  at(first: number, count: number): number {
    this.view.set(this.values.subarray(first, first + count));
    return this.there;
  }

  window(first: number, rows: number, columns: number, stride: number): { readonly at: number; readonly stride: number } {
    if (columns === stride) return { at: this.at(first, rows * columns), stride };
    for (let row = 0, from = first; row < rows; row++, from += stride)
      this.view.set(this.values.subarray(from, from + columns), row * columns);
    return { at: this.there, stride: columns };
  }
}

class Transposed extends Copied {
  readonly #rows: number;
  readonly #columns: number;

  constructor(values: TypedData, dtype: Dtype, piece: Piece, rows: number, columns: number) {
    super(values, dtype, piece);
    this.#rows = rows;
    this.#columns = columns;
  }

  /** `first` starts a column. */
  at(first: number, count: number): number {
    const { values, view } = this;
    const rows = this.#rows;
    const columns = this.#columns;
    let column = first / rows;
    for (let i = 0; i < count; column++) {
      let from = Math.floor(column / columns) * rows * columns + (column % columns);
      for (const end = Math.min(count, i + rows); i < end; i++, from += columns) view[i] = values[from]!;
    }
    return this.there;
  }

  window(): never {
    throw new Error("transposed matrices are read by rows");
  }
}

class Gathered extends Copied {
  readonly #width: number;
  readonly #order: Uint32Array;

  constructor(values: TypedData, dtype: Dtype, piece: Piece, width: number, order: Uint32Array) {
    super(values, dtype, piece);
    this.#width = width;
    this.#order = order;
  }

  /** Rows of one value. */
  at(first: number, count: number): number {
    const { values, view } = this;
    const order = this.#order;
    for (let i = 0; i < count; i++) view[i] = values[order[first + i]!]!;
    return this.there;
  }

  window(first: number, rows: number, columns: number): { readonly at: number; readonly stride: number } {
    const width = this.#width;
    const column = first % width;
    let next = (first - column) / width;
    for (let row = 0; row < rows; row++, next++) {
      const from = this.#order[next]! * width + column;
      this.view.set(this.values.subarray(from, from + columns), row * columns);
    }
    return { at: this.there, stride: columns };
  }
}
