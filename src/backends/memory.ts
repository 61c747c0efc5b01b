/**
 * Memory that kernels can reach: shared WebAssembly memories of at most 4 GiB each, and a first-fit allocator on each.
 * It knows addresses and bytes; what lies there is others' business.
 */
import { FourfoldError } from "../errors.ts";
import type { Dtype, TypedData } from "../types.ts";
import { instantiateKernels, type Kernels } from "./kernels.ts";

const PAGE = 65536;

/** Pages of one memory: 4 GiB, the reach of a 32-bit pointer. */
const PAGES_MAX = 65536;

/** Blocks start on cache lines, which is also what TensorFlow asks for. */
const ALIGN = 64;

/** Kernels may read up to a chunk of 64 bytes past a row's end; what they read there is masked. */
const SLACK = 64;

/** Bytes of one value of a dtype. */
export const BYTES: Readonly<Record<Dtype, number>> = { f32: 4, f64: 8, i32: 4, i16: 2, i8: 1, u8: 1 };

/** A block of kernel memory. */
export interface Block {
  readonly heap: Heap;
  /** Its address in `heap`. */
  readonly at: number;
  readonly bytes: number;
}

/** One shared memory with its kernels and its free list. */
export class Heap {
  /** The place of this heap in {@link Heaps}. */
  readonly index: number;
  readonly memory: WebAssembly.Memory;
  readonly kernels: Kernels;
  /** Free stretches as [start, end), by address. The first page stays empty, so that no block has address 0. */
  readonly #free: [number, number][] = [];
  #end: number;
  readonly #buffers: WeakSet<ArrayBufferLike> = new WeakSet();

  constructor(index: number, module: WebAssembly.Module) {
    this.index = index;
    this.memory = new WebAssembly.Memory({ initial: 2, maximum: PAGES_MAX, shared: true });
    this.kernels = instantiateKernels(module, this.memory);
    this.#end = 2 * PAGE;
    this.#free.push([PAGE, this.#end]);
  }

  /** The address of `bytes` free bytes, or undefined if this memory cannot hold them. */
  allocate(bytes: number): number | undefined {
    const size = roundUp(bytes + SLACK, ALIGN);
    const fit = this.#free.findIndex(([start, end]) => end - start >= size);
    if (fit >= 0) return this.#take(fit, size);
    const last = this.#free.at(-1);
    const start = last?.[1] === this.#end ? last[0] : this.#end;
    const pages = Math.ceil((start + size - this.#end) / PAGE);
    if (this.#end / PAGE + pages > PAGES_MAX) return undefined;
    try {
      this.memory.grow(pages);
    } catch {
      return undefined; // the machine has no more
    }
    this.#release(this.#end, pages * PAGE);
    this.#end += pages * PAGE;
    return this.#take(this.#free.length - 1, size);
  }

  /** Gives a stretch back. */
  free(at: number, bytes: number): void {
    this.#release(at, roundUp(bytes + SLACK, ALIGN));
  }

  /** True if a buffer is this memory, as it is or as it was before it grew. */
  owns(buffer: ArrayBufferLike): boolean {
    return this.#buffers.has(buffer);
  }

  /** A view of `length` values at an address. */
  view(dtype: Dtype, at: number, length: number): TypedData {
    const { buffer } = this.memory;
    this.#buffers.add(buffer);
    switch (dtype) {
      case "f32":
        return new Float32Array(buffer, at, length);
      case "f64":
        return new Float64Array(buffer, at, length);
      case "i32":
        return new Int32Array(buffer, at, length);
      case "i16":
        return new Int16Array(buffer, at, length);
      case "i8":
        return new Int8Array(buffer, at, length);
      case "u8":
        return new Uint8Array(buffer, at, length);
    }
  }

  #take(fit: number, size: number): number {
    const stretch = this.#free[fit]!;
    const at = stretch[0];
    stretch[0] += size;
    if (stretch[0] === stretch[1]) this.#free.splice(fit, 1);
    return at;
  }

  #release(at: number, size: number): void {
    const end = at + size;
    let i = this.#free.findIndex(([start]) => start > at);
    if (i < 0) i = this.#free.length;
    const before = this.#free[i - 1];
    const after = this.#free[i];
    if (before?.[1] === at) {
      before[1] = after?.[0] === end ? after[1] : end;
      if (after?.[0] === end) this.#free.splice(i, 1);
    } else if (after?.[0] === end) after[0] = at;
    else this.#free.splice(i, 0, [at, end]);
  }
}

/** All kernel memory of an engine: as many memories as it needs, up to a limit in bytes. */
export class Heaps {
  readonly bytesMax: number;
  readonly all: Heap[] = [];
  /** Bytes in blocks now. */
  bytesUsed = 0;
  readonly #module: WebAssembly.Module;
  readonly #onNew: (heap: Heap) => void;

  constructor(module: WebAssembly.Module, bytesMax: number, onNew: (heap: Heap) => void) {
    this.#module = module;
    this.bytesMax = bytesMax;
    this.#onNew = onNew;
    this.#add();
  }

  /** A block of `bytes`, in `heap` if one is named. @throws FourfoldError ERR_FOURFOLD_MEMORY */
  allocate(bytes: number, heap?: Heap): Block {
    if (this.bytesUsed + bytes > this.bytesMax) throw this.#tooMuch(bytes, `${this.bytesUsed} bytes are in use and memoryBytesMax is ${this.bytesMax}`);
    for (const candidate of heap ? [heap] : this.all) {
      const at = candidate.allocate(bytes);
      if (at !== undefined) return this.#block(candidate, at, bytes);
    }
    if (heap === undefined) {
      const fresh = this.#add();
      const at = fresh.allocate(bytes);
      if (at !== undefined) return this.#block(fresh, at, bytes);
    }
    throw this.#tooMuch(bytes, heap ? "their memory is full" : "one block holds less than 4 GiB, and no more than the machine has");
  }

  /** Gives a block back. */
  free({ heap, at, bytes }: Block): void {
    heap.free(at, bytes);
    this.bytesUsed -= bytes;
  }

  #block(heap: Heap, at: number, bytes: number): Block {
    this.bytesUsed += bytes;
    return { heap, at, bytes };
  }

  #add(): Heap {
    const heap = new Heap(this.all.length, this.#module);
    this.all.push(heap);
    this.#onNew(heap);
    return heap;
  }

  #tooMuch(bytes: number, why: string): FourfoldError {
    return new FourfoldError("ERR_FOURFOLD_MEMORY", `no room for ${bytes} bytes: ${why}`, {
      given: bytes,
      expected: this.bytesMax,
      fix: "Free tensors you no longer use, give plain arrays (they are reduced in pieces), or raise memoryBytesMax",
    });
  }
}

function roundUp(n: number, step: number): number {
  return Math.ceil(n / step) * step;
}
