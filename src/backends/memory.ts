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

/** What tensors leave free in each memory, for the weights and the scratch of runs on them, which must lie in the same memory. */
const RESERVED_BYTES = 128 << 20;

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
  /** How many of its first bytes were in a block before: the rest is zero. */
  readonly usedBytes: number;
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
  /** Every address from here on was never in a block. */
  #fresh: number = PAGE;
  readonly #buffers: WeakSet<ArrayBufferLike> = new WeakSet();

  constructor(index: number, module: WebAssembly.Module) {
    this.index = index;
    this.memory = new WebAssembly.Memory({ initial: 2, maximum: PAGES_MAX, shared: true });
    this.kernels = instantiateKernels(module, this.memory);
    this.#end = 2 * PAGE;
    this.#free.push([PAGE, this.#end]);
  }

  /** A block of `bytes` free bytes that leaves the last `reserved` ones of the memory alone, or undefined if there is none. */
  allocate(bytes: number, reserved: number): Block | undefined {
    const at = this.#find(sizeOf(bytes), PAGES_MAX * PAGE - reserved);
    if (at === undefined) return undefined;
    const usedBytes = Math.min(bytes, Math.max(0, this.#fresh - at));
    this.#fresh = Math.max(this.#fresh, at + bytes);
    return { heap: this, at, bytes, usedBytes };
  }

  #find(size: number, limit: number): number | undefined {
    const fit = this.#free.findIndex(([start, end]) => Math.min(end, limit) - start >= size);
    if (fit >= 0) return this.#take(fit, size);
    const last = this.#free.at(-1);
    const start = last?.[1] === this.#end ? last[0] : this.#end;
    if (start + size > limit) return undefined;
    const pages = Math.ceil((start + size - this.#end) / PAGE);
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
    this.#release(at, sizeOf(bytes));
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

/** A block that holds leaves: a tensor's, or a copy made for a run. Memory is given back when it is freed and nobody reads it. */
export class LeafBlock {
  readonly block: Block;
  #readers = 0;
  #freed = false;
  #gone = false;
  readonly #giveBack: (leaves: LeafBlock) => void;

  constructor(block: Block, giveBack: (leaves: LeafBlock) => void) {
    this.block = block;
    this.#giveBack = giveBack;
  }

  /** Says that a run reads it; `release` must follow. */
  hold(): void {
    this.#readers++;
  }

  release(): void {
    this.#readers--;
    this.#giveBackIfDone();
  }

  /** Gives the memory back, once the runs that read it are over. */
  free(): void {
    this.#freed = true;
    this.#giveBackIfDone();
  }

  /** True once `free` was called, though runs may still read it. */
  get freed(): boolean {
    return this.#freed;
  }

  #giveBackIfDone(): void {
    if (!this.#freed || this.#readers > 0 || this.#gone) return;
    this.#gone = true;
    this.#giveBack(this);
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
  readonly #reclaim: () => boolean;
  readonly #leaves: Map<Heap, Map<number, LeafBlock>> = new Map();

  /** `onNew` is told of each memory; `reclaim` gives back what can be done without, and says whether there was any. */
  constructor(module: WebAssembly.Module, bytesMax: number, onNew: (heap: Heap) => void, reclaim: () => boolean) {
    this.#module = module;
    this.bytesMax = bytesMax;
    this.#onNew = onNew;
    this.#reclaim = reclaim;
    this.add();
  }

  /** A block of `bytes`, in `heap` if one is named. @throws FourfoldError ERR_FOURFOLD_MEMORY */
  allocate(bytes: number, heap?: Heap): Block {
    for (;;) {
      const fits = this.bytesUsed + sizeOf(bytes) <= this.bytesMax;
      const block = fits ? (heap ? heap.allocate(bytes, 0) : this.#allocateAnywhere(bytes)) : undefined;
      if (block !== undefined) {
        this.bytesUsed += sizeOf(bytes);
        return block;
      }
      if (this.#reclaim()) continue;
      if (!fits) throw this.#tooMuch(bytes, `${this.bytesUsed} bytes are in use and memoryBytesMax is ${this.bytesMax}`);
      throw this.#tooMuch(bytes, heap ? "their memory is full" : "one block holds less than 3.87 GiB, and no more than the machine has");
    }
  }

  /** A block for leaves, found again by the views of it. @throws FourfoldError ERR_FOURFOLD_MEMORY */
  allocateLeaves(bytes: number): LeafBlock {
    const block = this.allocate(bytes);
    const here = this.#leaves.get(block.heap)!;
    const leaves = new LeafBlock(block, () => {
      here.delete(block.at);
      this.free(block);
    });
    here.set(block.at, leaves);
    return leaves;
  }

  /** The leaves a view shows, or undefined for an array that is not in engine memory. @throws FourfoldError ERR_FOURFOLD_ARGUMENT if they were freed */
  leavesOf(view: TypedData): LeafBlock | undefined {
    const heap = this.all.find((candidate) => candidate.owns(view.buffer));
    if (heap === undefined) return undefined;
    const here = this.#leaves.get(heap)!;
    let leaves = here.get(view.byteOffset);
    if (leaves === undefined)
      for (const other of here.values()) {
        const { at, bytes } = other.block;
        if (at <= view.byteOffset && view.byteOffset <= at + bytes) leaves = other;
      }
    if (leaves === undefined) throw freedTensor();
    return leaves;
  }

  #allocateAnywhere(bytes: number): Block | undefined {
    for (const heap of this.all) {
      const block = heap.allocate(bytes, RESERVED_BYTES);
      if (block !== undefined) return block;
    }
    if (bytes + RESERVED_BYTES + 2 * PAGE > PAGES_MAX * PAGE) return undefined;
    try {
      return this.add().allocate(bytes, RESERVED_BYTES);
    } catch (error) {
      if (error instanceof RangeError) return undefined; // the machine has no more
      throw error;
    }
  }

  /** Gives a block back. */
  free({ heap, at, bytes }: Block): void {
    heap.free(at, bytes);
    this.bytesUsed -= sizeOf(bytes);
  }

  /** One more memory. */
  add(): Heap {
    const heap = new Heap(this.all.length, this.#module);
    this.all.push(heap);
    this.#leaves.set(heap, new Map());
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

/** What a block of `bytes` takes: the slack behind it, too, up to the next cache line. */
function sizeOf(bytes: number): number {
  return Math.ceil((bytes + SLACK) / ALIGN) * ALIGN;
}

/** The error of a tensor that is used after it was freed. */
export function freedTensor(): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_ARGUMENT", "the tensor was freed", {
    fix: "Free a tensor after the last run and the last look at its leaves",
  });
}
