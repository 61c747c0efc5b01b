/**
 * The control words that a pool's calling thread and its workers both read: pure layout and atomics.
 * It is not a queue (one job is on the board at a time), it starts no thread, and it knows nothing of what a part computes.
 *
 * Nobody locks. A part is one word, `epoch | slot | state`, and whoever moves it by compare-and-swap owns it. The calling
 * thread writes a job in this order: description, part words, EPOCH, then the bell. A worker reads the description only
 * while it holds a part: a held part keeps its job on the board, so what it reads is whole, however late the worker is.
 */

/** Parts of one job. At about 1 ms a part this is seconds of work for each worker between two jobs. */
export const PARTS_MAX = 4096;
/** Workers of one pool: a slot has 8 bits of a part word. */
export const WORKERS_MAX = 256;
/** Numbers a job may hand to its parts. */
export const WORDS_MAX = 64;

/** What each worker may count. */
export const COUNTS_MAX = 4;

/** Nobody has the part yet. */
export const FREE = 0;
/** The worker in the word's slot is inside the part. */
const CLAIMED = 1;
/** The part's output is written. */
export const DONE = 2;
/** The part threw; its error was posted before this word was. */
export const FAILED = 3;
/** The calling thread withdrew the part. */
export const CANCELLED = 4;

// Indices into `control`. The two bells are waited on by different sides: each has its own cache line.
/** Counts the calling thread's calls to the workers: they wait on it. */
export const BELL = 0;
/** Counts the workers' calls to the calling thread: it waits on it. */
export const REPLY = 16;
/** The job on the board; written after everything else of it. */
export const EPOCH = 32;
/** How many parts the job has. */
export const COUNT = 33;
/** Which program runs it. */
export const PROGRAM = 34;
/** Which phase of the program. */
export const PHASE = 35;
/** How many letters (programs, messages) were posted to each worker, ever; a worker catches up before it runs a part. */
export const LETTERS = 36;
const CONTROL_WORDS = 48;

const EPOCH_SHIFT = 11;
const SLOT_SHIFT = 3;
const STATE_MASK = (1 << SLOT_SHIFT) - 1;
/** Epochs wrap here. A worker that slept through a whole turn would still only claim a part that is really free. */
const EPOCH_MASK = (1 << (32 - EPOCH_SHIFT)) - 1;

/** Views of one shared buffer. */
export interface Board {
  readonly buffer: SharedArrayBuffer;
  readonly control: Int32Array;
  /** One word for each worker: 1 once it serves. */
  readonly ready: Int32Array;
  /** One word for each part. */
  readonly parts: Int32Array;
  /** Each part's lo and hi. */
  readonly ranges: Uint32Array;
  /** The job's numbers. */
  readonly words: Float64Array;
  /** Each worker's first start and last end in its latest job, by {@link clockMs}. */
  readonly times: Float64Array;
  /** What the workers in each slot counted, ever. */
  readonly counts: Float64Array;
}

/** The board in `buffer`, or a new one. */
export function openBoard(buffer?: SharedArrayBuffer): Board {
  const words = 0;
  const times = words + WORDS_MAX * 8;
  const counts = times + WORKERS_MAX * 16;
  const control = counts + WORKERS_MAX * COUNTS_MAX * 8;
  const ready = control + CONTROL_WORDS * 4;
  const parts = ready + WORKERS_MAX * 4;
  const ranges = parts + PARTS_MAX * 4;
  const b = buffer ?? new SharedArrayBuffer(ranges + PARTS_MAX * 8);
  return {
    buffer: b,
    control: new Int32Array(b, control, CONTROL_WORDS),
    ready: new Int32Array(b, ready, WORKERS_MAX),
    parts: new Int32Array(b, parts, PARTS_MAX),
    ranges: new Uint32Array(b, ranges, PARTS_MAX * 2),
    words: new Float64Array(b, words, WORDS_MAX),
    times: new Float64Array(b, times, WORKERS_MAX * 2),
    counts: new Float64Array(b, counts, WORKERS_MAX * COUNTS_MAX),
  };
}

/** A part word. */
export function partWord(epoch: number, slot: number, state: number): number {
  return (epoch << EPOCH_SHIFT) | (slot << SLOT_SHIFT) | state;
}

/** The state in a part word. */
function stateOf(word: number): number {
  return word & STATE_MASK;
}

/** The slot in a part word. */
export function slotOf(word: number): number {
  return (word >>> SLOT_SHIFT) & (WORKERS_MAX - 1);
}

/** The epoch after `epoch`; never 0, which is what an unused word holds. */
export function nextEpoch(epoch: number): number {
  return (epoch + 1) & EPOCH_MASK || 1;
}

/** What {@link claim} returns when no part is free and some are still in work. */
const BUSY = -1;
/** What {@link claim} returns when every part has come to its end. */
export const SETTLED = -2;

/**
 * Claims the first free part at or after `from`, going round once; else BUSY or SETTLED.
 * Of several workers that end their last parts together at least one sees SETTLED: each writes its word before it looks.
 */
export function claim(parts: Int32Array, epoch: number, count: number, slot: number, from: number): number {
  const free = partWord(epoch, 0, FREE);
  const mine = partWord(epoch, slot, CLAIMED);
  let none = SETTLED;
  for (let step = 0, i = from; step < count; step++) {
    const word = Atomics.load(parts, i);
    if (word === free) {
      if (Atomics.compareExchange(parts, i, free, mine) === free) return i;
      none = BUSY;
    } else if (stateOf(word) === CLAIMED && word >>> EPOCH_SHIFT === epoch) none = BUSY;
    if (++i === count) i = 0;
  }
  return none;
}

/** Puts a job on the board and calls the workers to it. */
export function publish(board: Board, program: number, phase: number, ranges: Uint32Array, words: ArrayLike<number>): void {
  const { control, parts } = board;
  const count = ranges.length / 2;
  const epoch = nextEpoch(control[EPOCH]!);
  control[PROGRAM] = program;
  control[PHASE] = phase;
  board.ranges.set(ranges);
  board.words.set(words);
  for (let i = 0; i < count; i++) Atomics.store(parts, i, partWord(epoch, 0, FREE));
  Atomics.store(control, COUNT, count);
  Atomics.store(control, EPOCH, epoch);
  ring(board, BELL, count);
}

/** How many parts of the job are done, how many are free or in work, and the first that failed, or −1. */
export function tally(board: Board): { readonly done: number; readonly open: number; readonly failed: number } {
  const { control, parts } = board;
  let done = 0;
  let open = 0;
  let failed = -1;
  for (let i = 0; i < control[COUNT]!; i++) {
    const state = stateOf(Atomics.load(parts, i));
    if (state === DONE) done++;
    else if (state <= CLAIMED) open++;
    else if (state === FAILED && failed < 0) failed = i;
  }
  return { done, open, failed };
}

/** Cancels every part that nobody has claimed. */
export function withdraw(board: Board): void {
  const { control, parts } = board;
  const free = partWord(control[EPOCH]!, 0, FREE);
  const cancelled = partWord(control[EPOCH]!, 0, CANCELLED);
  for (let i = 0; i < control[COUNT]!; i++) Atomics.compareExchange(parts, i, free, cancelled);
}

/** The part that the worker in `slot` is inside, or −1. */
export function heldBy(board: Board, slot: number): number {
  const held = partWord(board.control[EPOCH]!, slot, CLAIMED);
  for (let i = 0; i < board.control[COUNT]!; i++) if (Atomics.load(board.parts, i) === held) return i;
  return -1;
}

/** Counts a bell up and wakes at most `wakes` of those who wait on it. */
export function ring(board: Board, bell: typeof BELL | typeof REPLY, wakes?: number): void {
  Atomics.add(board.control, bell, 1);
  Atomics.notify(board.control, bell, wakes);
}

/** Milliseconds on the one clock that all threads of a process share (`performance.now` starts anew in each). */
export function clockMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

const MARK = Symbol.for("fourfold.poolWorker");

/** Marks this thread as a pool's worker. */
export function markPoolWorker(): void {
  Object.defineProperty(globalThis, MARK, { value: true });
}

/** Whether this thread is a pool's worker: an engine made here would start workers inside workers. */
export function isPoolWorker(): boolean {
  return MARK in globalThis;
}
