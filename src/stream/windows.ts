/**
 * Windows of a stream: records go in, panes come out (docs/event-time.md). Apache Beam's model: a record is assigned to windows, a window
 * holds the state of its records, and triggers say when it is fired. No timers and no I/O: processing time is a parameter, and the same calls
 * give the same panes. The values of a pane are those of a run over its records (contract clauses 3, 4, 10, 14).
 */
import type { FourfoldError } from "../errors.ts";
import type { ByteReader, ByteWriter } from "../reduce/bytes.ts";
import type { Chain } from "../reduce/chain.ts";
import { nanLeaf } from "../reduce/nan.ts";
import type { ClosedNodes } from "../reduce/open.ts";
import { REFUSED } from "./key-space.ts";
import { inOrder, type OpenWindow, OpenWindows } from "./open-windows.ts";
import type { Pane, Timing } from "./types.ts";
import { Watermark } from "./watermark.ts";
import { WindowAxis } from "./window-axis.ts";
import { type ContentsSetup, WindowContents } from "./window-contents.ts";
import { badTime, type Refused, type Rows, untimed } from "./window-rows.ts";
import type { Slice } from "./window-slices.ts";
import { TIME_MAX } from "./windowing.ts";

export type { Refused, Rows } from "./window-rows.ts";

/** One firing of a window. */
export interface Fired {
  readonly pane: Pane;
  /** The watermark when it was fired: event time, or the next position where windows count records. */
  readonly watermark: number;
  /** Of the weights it was closed with. */
  readonly version: number;
  readonly closed: ClosedNodes;
}

/** What windows are made of. */
export interface WindowsSetup extends ContentsSetup {
  /** How many sources there are; they are numbered from 0. */
  readonly sources: number;
  /** The chain that a window which starts there is closed with, and the version of its weights. */
  chainAt(start: number): { readonly chain: Chain; readonly version: number };
}

/** See the head of this file. An error that any method throws leaves it unusable. */
export class Windows {
  readonly #setup: WindowsSetup;
  readonly #axis: WindowAxis;
  readonly #time: Watermark;
  readonly #contents: WindowContents;
  readonly #open: OpenWindows;
  /** Whether windows may fire before they are complete. */
  readonly #early: boolean;
  /** Whether panes hold only what came since the last one, and there may be more than one. */
  readonly #parted: boolean;
  /** Where the next row stands, in windows of rows. */
  #position = 0;
  #watermark = Number.NEGATIVE_INFINITY;
  /** Where the watermark does something next: the end of a window, or of its lateness. */
  #next = Number.POSITIVE_INFINITY;
  /** Windows to which late rows came in this call. */
  readonly #late = new Set<OpenWindow>();
  #lateRows = 0;
  #fired: Fired[] = [];
  #nodes = new Int32Array(0);

  /** @throws FourfoldError ERR_FOURFOLD_REDUCTION if level f is a user's that needs an order, or has no encode and decode */
  constructor(setup: WindowsSetup) {
    const { windowing, sources } = setup;
    this.#setup = setup;
    this.#axis = new WindowAxis(windowing);
    this.#time = new Watermark(sources, windowing.outOfOrder, windowing.idleMs);
    this.#open = new OpenWindows(this.#axis, windowing.windowsMax);
    this.#early = Math.min(windowing.earlyMs, windowing.earlyRows) < Number.POSITIVE_INFINITY;
    this.#parted = windowing.discarding && (this.#early || windowing.lateness > 0);
    this.#contents = new WindowContents(setup, this.#axis, this.#parted);
  }

  /** How far the stream has come: event time, or the next position where windows count records. Infinity once all sources have ended. */
  get watermark(): number {
    return this.#watermark;
  }

  /** Windows that have records and are not closed. */
  get openWindows(): number {
    return this.#contents.slices.windows(this.#axis, this.#firstOpen());
  }

  /** Level-f nodes that are held: in each slice of windows, those that had records. */
  get openNodes(): number {
    return this.#contents.nodes;
  }

  /** Rows that were refused as late so far. */
  get late(): number {
    return this.#lateRows;
  }

  /**
   * Adds rows of a source, in order, and gives those that are in no window; all others are in, or left out by `nullKeys: "skip"`. Processing
   * time has come to `now`.
   * @throws FourfoldError ERR_FOURFOLD_MEMORY beyond `windowsMax` or `nodesMax`, ERR_FOURFOLD_REDUCTION if a user's reduction throws
   */
  add(source: number, rows: Rows, now: number): Refused[] {
    const { axis } = this.#setup.windowing;
    if (axis === "time" && rows.times === undefined) throw untimed();
    const refused: Refused[] = [];
    this.progress(now);
    if (rows.rows > 0) this.#time.wake(source, now);
    this.#resolve(rows, refused);
    if (this.#time.hasEnded(source)) {
      for (let row = 0; row < rows.rows; row++) if (this.#nodes[row] !== REFUSED) this.#refuseLate(row, refused);
    } else if (axis === "rows" || rows.times === undefined) this.#addInOrder(rows, now, refused);
    else this.#addByTime(source, rows, rows.times, now, refused);
    for (const open of [...this.#late].sort(inOrder)) this.#fire(open.start, "late", open);
    return refused.sort((a, b) => a.row - b.row);
  }

  /** Processing time has come to `now`: windows are fired early, and sources become idle. */
  progress(now: number): void {
    if (this.#setup.windowing.earlyMs < Number.POSITIVE_INFINITY)
      for (const open of this.#open.which(({ timerAt }) => timerAt <= now)) this.#fire(open.start, "early", open);
    this.#time.progress(now);
    this.#advance();
  }

  /** When `progress()` has something to do next; undefined if never, as things stand. */
  nextAt(): number | undefined {
    const early = this.#setup.windowing.earlyMs < Number.POSITIVE_INFINITY ? this.#open.least(({ timerAt }) => timerAt) : undefined;
    const next = Math.min(this.#time.nextAt(), early ?? Number.POSITIVE_INFINITY);
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  /** A source has ended: it holds the watermark back no longer. Rows that it gives all the same are late. */
  endOf(source: number): void {
    this.#time.end(source);
    this.#advance();
  }

  /** What was fired since the last call, in order of window end, start and index. */
  take(): Fired[] {
    const fired = this.#fired;
    this.#fired = [];
    return fired.sort(({ pane: a }, { pane: b }) => order(a.end, b.end) || order(a.start, b.start) || a.index - b.index);
  }

  /**
   * Writes all that it holds, but for what was fired: take that first. Two that hold the same write the same.
   * @throws FourfoldError ERR_FOURFOLD_REDUCTION if a user's `encode` throws
   */
  write(to: ByteWriter): void {
    this.#time.write(to);
    to.float(this.#watermark);
    to.unsigned(this.#position);
    to.unsigned(this.#lateRows);
    this.#contents.write(to);
    this.#open.write(to);
  }

  /**
   * Reads what {@link Windows.write} wrote into windows of the same setup to which nothing came yet. They go on as those would have.
   * @throws FourfoldError ERR_FOURFOLD_STATE for bytes that are damaged or of another setup; then these windows are of no use
   */
  read(from: ByteReader): void {
    this.#time.read(from);
    this.#watermark = from.float();
    if (this.#watermark !== this.#watermark) from.fail("has a watermark that is no number");
    this.#position = from.unsigned();
    if (this.#position > TIME_MAX) from.fail(`has a position of ${this.#position}`);
    this.#lateRows = from.unsigned();
    this.#contents.read(from);
    this.#open.read(from, this.#contents.generation);
    this.#plan();
  }

  /** Finds the node of each row. Rows that no window can take are refused. */
  #resolve(given: Rows, refused: Refused[]): void {
    const { rows, values, weights } = given;
    if (this.#nodes.length < rows) this.#nodes = new Int32Array(rows);
    const nodes = this.#nodes;
    const refuse = (row: number, error: FourfoldError): void => {
      refused.push({ row, why: error });
      nodes[row] = REFUSED;
    };
    this.#contents.resolve(given, nodes, refuse);
    if (this.#setup.policy.nan !== "error") return;
    const level = this.#setup.chain.levels[0]!.name;
    for (let row = 0; row < rows; row++)
      if (nodes[row]! >= 0 && (Number.isNaN(values[row]) || (weights && Number.isNaN(weights[row])))) refuse(row, nanLeaf(level, row));
  }

  /** Adds rows whose place on the axis is their position in the stream, or that have one window. */
  #addInOrder(rows: Rows, now: number, refused: Refused[]): void {
    const nodes = this.#nodes;
    const counts = this.#setup.windowing.axis === "rows";
    for (let row = 0; row < rows.rows; ) {
      if (nodes[row] === REFUSED || this.#isMisweighed(rows, row, refused)) {
        row++;
        continue;
      }
      const slice = this.#sliceAt(counts ? this.#position : 0, nodes[row]!);
      const most = row + (slice ? Math.min(rows.rows - row, slice.end - this.#position, this.#roomOf(slice)) : 1);
      let end = row + 1;
      while (end < most && nodes[end] !== REFUSED) end++;
      if (slice) this.#put(slice, rows, row, end, now);
      this.#position += end - row;
      row = end;
      if (counts) this.#advance();
    }
  }

  /** Adds rows by their event time. Rows of one slice go in together up to the one at which a window ends. */
  #addByTime(source: number, rows: Rows, times: ArrayLike<number>, now: number, refused: Refused[]): void {
    const nodes = this.#nodes;
    const { outOfOrder, futureMs } = this.#setup.windowing;
    const latest = Math.min(TIME_MAX, now + futureMs);
    for (let row = 0; row < rows.rows; ) {
      const time = times[row]!;
      if (nodes[row] === REFUSED || this.#isRefusedAt(rows, row, time, now, refused)) {
        row++;
        continue;
      }
      const slice = this.#sliceAt(time, nodes[row]!);
      const most = row + (slice ? Math.min(rows.rows - row, this.#roomOf(slice)) : 1);
      const low = slice ? Math.max(slice.start, -TIME_MAX) : time;
      const high = slice ? slice.end : Number.POSITIVE_INFINITY;
      // Only where the other sources are that far can this one bring the watermark to the end of a window.
      const next = this.#time.others(source) >= this.#next ? this.#next : Number.POSITIVE_INFINITY;
      let top = this.#time.latest(source);
      let end = row;
      while (end < most) {
        const t = times[end]!;
        if (!(t >= low && t < high && t <= latest) || nodes[end] === REFUSED) break;
        end++;
        if (t > top) {
          top = t;
          if (t - outOfOrder >= next) break;
        }
      }
      if (slice) this.#put(slice, rows, row, end, now);
      row = end;
      this.#time.reach(source, top);
      this.#advance();
    }
  }

  /** Whether a row has an event time that no window takes, or weights that do not fit; says so. */
  #isRefusedAt(rows: Rows, row: number, time: number, now: number, refused: Refused[]): boolean {
    const { futureMs } = this.#setup.windowing;
    if (!(time >= -TIME_MAX && time <= Math.min(TIME_MAX, now + futureMs))) {
      refused.push({ row, why: badTime(row, time, now, futureMs) });
      return true;
    }
    if (!this.#isLate(time)) return this.#isMisweighed(rows, row, refused);
    this.#refuseLate(row, refused);
    return true;
  }

  /** Whether a row brings other weights of outer levels than those before it; says so. */
  #isMisweighed(rows: Rows, row: number, refused: Refused[]): boolean {
    if (!this.#contents.weighs || this.#nodes[row]! < 0) return false;
    const why = this.#contents.weigh(rows, row, this.#nodes[row]!);
    if (why !== undefined) refused.push({ row, why });
    return why !== undefined;
  }

  /** Whether all windows that hold t are closed. */
  #isLate(t: number): boolean {
    if (this.#watermark === Number.NEGATIVE_INFINITY || this.#contents.slices.find(t) !== undefined) return false;
    const axis = this.#axis;
    return axis.windowEnd(axis.lastWindow(axis.sliceStart(t))) + this.#setup.windowing.lateness <= this.#watermark;
  }

  #refuseLate(row: number, refused: Refused[]): void {
    refused.push({ row, why: "late" });
    this.#lateRows++;
  }

  /** The slice at a place of the axis; a new one only for a row that has a node. */
  #sliceAt(t: number, node: number): Slice | undefined {
    const known = this.#contents.slices.find(t);
    if (known !== undefined || node < 0) return known;
    const slice = this.#contents.sliceAt(t);
    this.#next = Math.min(this.#next, this.#nextEnd(slice));
    return slice;
  }

  /** Rows that may go into a slice at one go: no window of it is to be fired before the last of them. */
  #roomOf(slice: Slice): number {
    if (this.#contents.weighs) return 1;
    const { earlyRows, lateRows } = this.#setup.windowing;
    let room = Number.POSITIVE_INFINITY;
    if (Math.min(earlyRows, lateRows) < room)
      for (const start of this.#windowsOf(slice)) {
        const rows = this.#axis.windowEnd(start) > this.#watermark ? earlyRows : lateRows;
        if (rows === Number.POSITIVE_INFINITY && rows === earlyRows) break; // later windows end later
        room = Math.min(room, rows - (this.#open.get(start)?.pending ?? 0));
      }
    return Math.max(1, room);
  }

  /** Adds rows to a slice, and tells the windows whose firing hangs on it. */
  #put(slice: Slice, rows: Rows, from: number, to: number, now: number): void {
    const added = this.#contents.put(slice, rows, this.#nodes, from, to);
    if (added === 0 || !(this.#early || slice.firstEnd <= this.#watermark)) return;
    const { earlyMs, earlyRows, lateRows, lateness } = this.#setup.windowing;
    for (const start of this.#windowsOf(slice)) {
      const isLate = this.#axis.windowEnd(start) <= this.#watermark;
      if (!isLate && !this.#early) break; // later windows end later
      const open = this.#open.at(start);
      open.pending += added;
      if (open.pending >= (isLate ? lateRows : earlyRows)) this.#fire(start, isLate ? "late" : "early", open);
      else if (!isLate) open.timerAt = Math.min(open.timerAt, now + earlyMs);
      else {
        if (lateRows === Number.POSITIVE_INFINITY) this.#late.add(open);
        this.#next = Math.min(this.#next, open.end + lateness);
      }
    }
  }

  /** The start of the first window that is not closed. */
  #firstOpen(): number {
    return this.#axis.firstEndingAfter(this.#watermark, this.#setup.windowing.lateness);
  }

  /** The windows of a slice that are not closed, in order. */
  *#windowsOf({ firstWindow, lastWindow }: Slice): Generator<number> {
    for (let start = Math.max(firstWindow, this.#firstOpen()); start <= lastWindow; start = this.#axis.next(start)) yield start;
  }

  /** The end of the first window of a slice that the watermark has not passed; Infinity if there is none. */
  #nextEnd({ firstWindow, lastWindow }: Slice): number {
    const start = Math.max(firstWindow, this.#axis.firstEndingAfter(this.#watermark));
    return start > lastWindow ? Number.POSITIVE_INFINITY : this.#axis.windowEnd(start);
  }

  /** Lets the watermark do what it does where it now stands: fire windows on time, and close those whose lateness is over. */
  #advance(): void {
    const { axis, lateness } = this.#setup.windowing;
    const from = this.#watermark;
    const to = axis === "rows" && !this.#time.allEnded ? this.#position : this.#time.value;
    if (!(to > from)) return;
    this.#watermark = to;
    if (to < this.#next) return;
    this.#fireOnTime(from, to);
    for (const open of this.#open.which(({ end }) => end + lateness <= to)) {
      if (open.pending > 0) this.#fire(open.start, "late", open);
      this.#open.delete(open);
    }
    this.#contents.dropWhile(({ lastEnd }) => lastEnd + lateness <= to);
    this.#plan();
  }

  /** Finds out where the watermark does something next. */
  #plan(): void {
    const { lateness } = this.#setup.windowing;
    const passed = this.#watermark;
    this.#next = this.#open.least(({ end, pending }) => (end <= passed && pending > 0 ? end + lateness : Number.POSITIVE_INFINITY));
    for (const slice of this.#contents.slices) {
      const isPassed = slice.lastEnd <= passed;
      this.#next = Math.min(this.#next, isPassed ? slice.lastEnd + lateness : this.#nextEnd(slice));
      if (!isPassed) return;
    }
  }

  /** Fires the windows that end after `from` and not after `to`, in order. */
  #fireOnTime(from: number, to: number): void {
    const axis = this.#axis;
    const { lateness } = this.#setup.windowing;
    let start = axis.firstEndingAfter(from);
    for (const slice of this.#contents.slices) {
      start = Math.max(start, slice.firstWindow);
      for (; start <= slice.lastWindow && axis.windowEnd(start) <= to; start = axis.next(start)) {
        const mayFireAgain = axis.windowEnd(start) + lateness > to;
        this.#fire(start, "on-time", mayFireAgain ? this.#open.at(start) : this.#open.get(start));
      }
      if (axis.windowEnd(start) > to) return;
    }
  }

  /** Fires a window. `open` is what is known of it; undefined if it did not fire before and will not again. */
  #fire(start: number, timing: Timing, open: OpenWindow | undefined): void {
    const end = this.#axis.windowEnd(start);
    const { lateness, discarding } = this.#setup.windowing;
    const { chain, version } = this.#setup.chainAt(start);
    const since = this.#parted ? (open?.since ?? 0) : 0;
    const closed = this.#contents.close(start, end, since, timing === "on-time", chain);
    const isLast = end + lateness <= this.#watermark;
    const pane = { start, end, index: open?.index ?? 0, timing, isLast, discarding };
    this.#fired.push({ pane, watermark: this.#watermark, version, closed });
    if (open === undefined) return;
    open.index++;
    open.pending = 0;
    open.timerAt = Number.POSITIVE_INFINITY;
    this.#late.delete(open);
    if (this.#parted) this.#part(open);
  }

  /** What comes to a window from now on goes into parts of its own, and parts that no window needs go. */
  #part(open: OpenWindow): void {
    open.since = this.#contents.begin();
    this.#contents.part(open.start, open.end, (slice) => {
      // Mostly the last window has not fired, and needs all.
      let least = this.#open.get(slice.lastWindow)?.since ?? 0;
      if (least === 0) return least;
      for (const start of this.#windowsOf(slice)) least = Math.min(least, this.#open.get(start)?.since ?? 0);
      return least;
    });
  }
}

const order = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);
