/**
 * Windows of a stream: records go in, panes come out (docs/event-time.md). Apache Beam's model: a record is assigned to windows, a window
 * holds the state of its records, and triggers say when it is fired. No timers and no I/O: processing time is a parameter, and the same calls
 * give the same panes. The values of a pane are those of a run over its records (contract clauses 3, 4, 10, 14).
 */
import { FourfoldError, show } from "../errors.ts";
import type { ByteReader, ByteWriter } from "../reduce/bytes.ts";
import type { Chain } from "../reduce/chain.ts";
import { type KeyLayout, leafReduction, type Policy } from "../reduce/layout.ts";
import { nanLeaf } from "../reduce/nan.ts";
import { type ClosedNodes, statesOf } from "../reduce/open.ts";
import { isExactKind } from "../reduce/state.ts";
import { ChildWeights } from "./child-weights.ts";
import { Closing } from "./closing.ts";
import { KeySpace, REFUSED } from "./key-space.ts";
import { NodeStore, type StoreRules } from "./node-store.ts";
import type { Pane, StreamKeys, Timing } from "./types.ts";
import { Watermark } from "./watermark.ts";
import { WindowAxis } from "./window-axis.ts";
import { Slice, Slices } from "./window-slices.ts";
import { TIME_MAX, type Windowing } from "./windowing.ts";

/** One firing of a window. */
export interface Fired {
  readonly pane: Pane;
  /** The watermark when it was fired: event time, or the next position where windows count records. */
  readonly watermark: number;
  /** Of the weights it was closed with. */
  readonly version: number;
  readonly closed: ClosedNodes;
}

/** Rows as windows take them: as a block, but one value for each row. */
export interface Rows {
  readonly rows: number;
  readonly values: ArrayLike<number>;
  readonly keys: readonly StreamKeys[];
  readonly times: ArrayLike<number> | undefined;
  readonly weights: ArrayLike<number> | undefined;
  readonly childWeights?: Readonly<Record<string, ArrayLike<number>>> | undefined;
}

/** A row that is in no window, and why. */
export interface Refused {
  readonly row: number;
  readonly why: "late" | FourfoldError;
}

/** What windows are made of. */
export interface WindowsSetup {
  readonly chain: Chain;
  readonly keys: KeyLayout;
  readonly policy: Policy;
  readonly windowing: Windowing;
  /** Levels whose nodes are kept in what is fired. */
  readonly kept: readonly boolean[];
  /** How many sources there are; they are numbered from 0. */
  readonly sources: number;
  /** The chain that a window which starts there is closed with, and the version of its weights. */
  chainAt(start: number): { readonly chain: Chain; readonly version: number };
}

/** What is known of a window beside its records; most windows need none of it. */
interface OpenWindow {
  readonly start: number;
  readonly end: number;
  /** Firings so far. */
  index: number;
  /** Records since the last firing. */
  pending: number;
  /** When it is fired early next; Infinity if not by processing time. */
  timerAt: number;
  /** Parts of slices from this generation on were not fired. */
  since: number;
}

/** What a sliding window holds, kept from one firing to the next. */
interface Running {
  readonly store: NodeStore;
  from: number;
  to: number;
}

/** Keys that are kept for windows to come, however few are open. */
const KEYS_KEPT = 1024;

/** Empty places of a sliding window that do no harm. */
const PLACES_KEPT = 64;

/** Bytes of the smallest slice and the smallest open window, as they are written. */
const SLICE_BYTES = 10;
const OPEN_BYTES = 19;

/** See the head of this file. An error that any method throws leaves it unusable. */
export class Windows {
  readonly #setup: WindowsSetup;
  readonly #windowing: Windowing;
  readonly #axis: WindowAxis;
  readonly #rules: StoreRules;
  readonly #space: KeySpace;
  readonly #closing: Closing;
  readonly #childWeights: ChildWeights;
  readonly #weighs: boolean;
  readonly #time: Watermark;
  /** Whether late or early panes may come, so that a window fires more than once. */
  readonly #early: boolean;
  /** Whether panes hold only what came since the last one and there may be more than one. */
  readonly #parted: boolean;
  readonly #slices = new Slices();
  readonly #open = new Map<number, OpenWindow>();
  #running: Running | undefined;
  readonly #slides: boolean;
  /** Where the next row stands, in windows of rows. */
  #position = 0;
  #watermark = Number.NEGATIVE_INFINITY;
  /** Where the watermark does something next: the end of a window, or of its lateness if late records wait. */
  #next = Number.POSITIVE_INFINITY;
  #generation = 0;
  #late = new Set<OpenWindow>();
  #fired: Fired[] = [];
  #nodes = new Int32Array(0);
  /** The most nodes that were open since keys were forgotten. */
  #peak = 0;
  #lateRows = 0;

  constructor(setup: WindowsSetup) {
    const { chain, keys, policy, windowing, kept, sources } = setup;
    this.#setup = setup;
    this.#windowing = windowing;
    this.#axis = new WindowAxis(windowing);
    this.#rules = {
      states: () => statesOf(chain, policy),
      skip: policy.nan === "skip",
      budget: { held: 0, most: windowing.nodesMax },
    };
    this.#rules.states();
    this.#space = new KeySpace(keys, policy.nullKeys);
    this.#closing = new Closing(this.#space, keys, policy, kept);
    this.#childWeights = new ChildWeights(chain, keys, this.#space, policy.nan === "error");
    this.#weighs = this.#childWeights.levels > 0;
    this.#time = new Watermark(sources, windowing.outOfOrder, windowing.idleMs);
    this.#early = windowing.earlyMs < Number.POSITIVE_INFINITY || windowing.earlyRows < Number.POSITIVE_INFINITY;
    this.#parted = windowing.discarding && (this.#early || windowing.lateness > 0);
    const { kind } = leafReduction(chain);
    this.#slides = windowing.every < windowing.size && !this.#parted && kind !== "user" && isExactKind(kind);
  }

  /** How far the stream has come: event time, or the next position where windows count records. Infinity once all sources have ended. */
  get watermark(): number {
    return this.#watermark;
  }

  /** Windows that have records and may fire yet. */
  get openWindows(): number {
    return this.#slices.windows(this.#axis, this.#axis.firstEndingAfter(this.#watermark - this.#windowing.lateness));
  }

  /** Level-f nodes that are held, over all slices. */
  get openNodes(): number {
    return this.#rules.budget.held;
  }

  /** Rows that were refused as late so far. */
  get late(): number {
    return this.#lateRows;
  }

  /**
   * Adds rows of a source, in order, and gives those that are in no window; all others are in.
   * @throws FourfoldError ERR_FOURFOLD_MEMORY beyond `windowsMax` or `nodesMax`, ERR_FOURFOLD_REDUCTION if a user's reduction throws
   */
  add(source: number, rows: Rows, now: number): Refused[] {
    const refused: Refused[] = [];
    if (this.#windowing.axis === "time" && rows.times === undefined) throw untimed();
    this.progress(now);
    this.#forget();
    if (rows.rows > 0) this.#time.wake(source, now);
    this.#resolve(rows, refused);
    if (this.#time.hasEnded(source)) {
      for (let row = 0; row < rows.rows; row++) if (this.#nodes[row] !== REFUSED) this.#refuseLate(row, refused);
    } else if (this.#windowing.axis === "rows" || rows.times === undefined) this.#addInOrder(rows, now, refused);
    else this.#addByTime(source, rows, rows.times, now, refused);
    for (const open of [...this.#late].sort((a, b) => a.start - b.start)) this.#fire(open.start, "late", open);
    this.#late.clear();
    return refused.sort((a, b) => a.row - b.row);
  }

  /** Processing time has come to `now`: windows are fired early, and sources become idle. */
  progress(now: number): void {
    for (const open of this.#due(now)) this.#fire(open.start, "early", open);
    this.#time.progress(now);
    this.#advance();
  }

  /** When `progress()` has something to do next; undefined if never, as things stand. */
  nextAt(): number | undefined {
    let next = this.#time.nextAt();
    if (this.#windowing.earlyMs < Number.POSITIVE_INFINITY) for (const { timerAt } of this.#open.values()) next = Math.min(next, timerAt);
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
    // −Infinity is the start of one window alone, and Infinity its end: no difference of two is NaN.
    return fired.sort((a, b) => order(a.pane.end, b.pane.end) || order(a.pane.start, b.pane.start) || a.pane.index - b.pane.index);
  }

  /**
   * Writes all that it holds, but for what was fired: take that first. What was written after the same rows is the same, however they came.
   * @throws FourfoldError ERR_FOURFOLD_REDUCTION if a user's `encode` throws
   */
  write(to: ByteWriter): void {
    this.#time.write(to);
    to.float(this.#watermark);
    to.unsigned(this.#position);
    to.unsigned(this.#generation);
    to.unsigned(this.#lateRows);
    const nodes = this.#space.write(to, this.#liveNodes());
    for (const weights of this.#childWeights.list(nodes)) for (const weight of weights) to.float(weight);
    const numbers = new Map(Array.from(nodes, (node, number) => [node, number]));
    to.unsigned(this.#slices.size);
    for (const slice of this.#slices) slice.write(to, numbers);
    const open = [...this.#open.values()].sort((a, b) => order(a.start, b.start));
    to.unsigned(open.length);
    for (const { start, index, pending, timerAt, since } of open) {
      to.float(start);
      to.unsigned(index);
      to.unsigned(pending);
      to.float(timerAt);
      to.unsigned(since);
    }
  }

  /**
   * Reads what {@link Windows.write} wrote into windows of the same setup to which nothing came yet. They go on as those would have.
   * @throws FourfoldError ERR_FOURFOLD_STATE for bytes that are damaged or of another setup; then these windows are of no use
   */
  read(from: ByteReader): void {
    this.#time.read(from);
    this.#watermark = from.float();
    this.#position = from.unsigned();
    this.#generation = from.unsigned();
    this.#lateRows = from.unsigned();
    if (this.#watermark !== this.#watermark) from.fail("has a watermark that is no number");
    const nodes = this.#space.read(from);
    const weights = Array.from({ length: this.#childWeights.levels }, () => Float64Array.from(nodes, () => from.float()));
    if (!this.#childWeights.learn(nodes, weights)) from.fail("has two weights for one child");
    let previous: Slice | undefined;
    for (let left = from.count(SLICE_BYTES); left > 0; left--) {
      const slice = Slice.read(from, this.#axis, this.#generation, () => this.#readStore(from, nodes));
      if (previous !== undefined && slice.start <= previous.start) from.fail("has slices that are not sorted");
      previous = slice;
      this.#slices.insert(slice);
      this.#limit();
    }
    for (let left = from.count(OPEN_BYTES); left > 0; left--) this.#readOpen(from);
    this.#plan();
  }

  #readStore(from: ByteReader, nodes: Int32Array): NodeStore {
    const store = new NodeStore(this.#rules);
    store.read(from, nodes);
    this.#hold(store, 0);
    return store;
  }

  #readOpen(from: ByteReader): void {
    const start = from.float();
    if (this.#axis.lastWindow(start) !== start || this.#open.has(start)) from.fail(`has a window that starts at ${start}`);
    const open = this.#openAt(start);
    open.index = from.unsigned();
    open.pending = from.unsigned();
    open.timerAt = from.float();
    open.since = from.unsigned();
    if (open.timerAt !== open.timerAt || open.since > this.#generation) from.fail("has a window that no records make");
  }

  /** The nodes that have records. */
  #liveNodes(): Int32Array {
    const nodes = new Set<number>();
    for (const slice of this.#slices) for (const { store } of slice.parts) for (const node of store.live()) nodes.add(node);
    return Int32Array.from(nodes);
  }

  /** Forgets the keys that only windows of the past had, when they are most of those known: a stream has no end of them. */
  #forget(): void {
    this.#peak = Math.max(this.#peak, this.openNodes);
    if (this.#space.size <= KEYS_KEPT + 4 * this.#peak) return;
    const live = this.#liveNodes();
    const weights = this.#childWeights.list(live);
    const numbers = this.#space.compact(live);
    this.#peak = this.openNodes;
    this.#closing.forget();
    this.#childWeights.learn(
      live.map((node) => numbers[node]!),
      weights,
    );
    for (const slice of this.#slices)
      for (const { store } of slice.parts) {
        store.renumber(numbers);
        this.#hold(store, 0);
      }
    // It may hold nodes that have no records left.
    this.#running?.store.drop();
    this.#running = undefined;
  }

  /** Nodes of a slice from a place on are new there. */
  #hold(store: NodeStore, from: number): void {
    if (this.#weighs) for (let place = from; place < store.places; place++) this.#childWeights.hold(store.node(place));
  }

  /** Finds the node of each row. Rows that no window can take are refused. */
  #resolve({ rows, keys, values, weights }: Rows, refused: Refused[]): void {
    if (this.#nodes.length < rows) this.#nodes = new Int32Array(rows);
    const nodes = this.#nodes;
    const refuse = (row: number, error: FourfoldError): void => {
      refused.push({ row, why: error });
      nodes[row] = REFUSED;
    };
    this.#space.resolve(keys, rows, nodes, refuse);
    if (this.#setup.policy.nan !== "error") return;
    const level = this.#setup.chain.levels[0]!.name;
    for (let row = 0; row < rows; row++)
      if (nodes[row] !== REFUSED && (Number.isNaN(values[row]) || (weights && Number.isNaN(weights[row]))))
        refuse(row, nanLeaf(level, row));
  }

  /** Adds rows whose place on the axis is their position in the stream. */
  #addInOrder(rows: Rows, now: number, refused: Refused[]): void {
    const nodes = this.#nodes;
    const counts = this.#windowing.axis === "rows";
    for (let row = 0; row < rows.rows; ) {
      if (nodes[row] === REFUSED) {
        row++;
        continue;
      }
      const slice = this.#sliceAt(counts ? this.#position : 0, nodes[row]! >= 0);
      const room = Math.min(rows.rows - row, slice ? slice.end - this.#position : 1, this.#roomOf(slice));
      let end = row + 1;
      while (end < row + room && nodes[end] !== REFUSED) end++;
      if (slice) this.#put(slice, rows, row, end, now, refused);
      this.#position += end - row;
      row = end;
      if (counts) this.#advance();
    }
  }

  /** Adds rows by their event time. Rows of one slice go in together up to the one at which a window ends. */
  #addByTime(source: number, rows: Rows, times: ArrayLike<number>, now: number, refused: Refused[]): void {
    const nodes = this.#nodes;
    const latest = Math.min(TIME_MAX, now + this.#windowing.futureMs);
    const { outOfOrder } = this.#windowing;
    let row = 0;
    while (row < rows.rows) {
      const time = times[row]!;
      if (nodes[row] === REFUSED) {
        row++;
        continue;
      }
      if (!(time >= -TIME_MAX && time <= latest)) {
        refused.push({ row, why: badTime(row, time, now, this.#windowing.futureMs) });
        row++;
        continue;
      }
      if (this.#isLate(time)) {
        this.#refuseLate(row, refused);
        row++;
        continue;
      }
      const slice = this.#sliceAt(time, nodes[row]! >= 0);
      const most = row + (slice ? Math.min(rows.rows - row, this.#roomOf(slice)) : 1);
      const low = slice ? Math.max(slice.start, -TIME_MAX) : time;
      const high = slice ? slice.end : Number.POSITIVE_INFINITY;
      // What the watermark would have to reach to fire a window; the other sources may hold it back anyhow.
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
      if (slice) this.#put(slice, rows, row, end, now, refused);
      // A row whose child weights do not fit went alone, and its time counts for nothing.
      if (nodes[row] === REFUSED) {
        row = end;
        continue;
      }
      row = end;
      this.#time.reach(source, top);
      this.#advance();
    }
  }

  /** Adds rows to a slice, and tells the windows it is in. */
  #put(slice: Slice, rows: Rows, from: number, to: number, now: number, refused: Refused[]): void {
    const nodes = this.#nodes;
    if (this.#weighs) {
      const why = nodes[from]! < 0 ? undefined : this.#childWeights.take(rows.childWeights, from, nodes[from]!);
      if (why !== undefined) {
        refused.push({ row: from, why });
        nodes[from] = REFUSED;
        return;
      }
    }
    const store = slice.open(this.#generation, () => new NodeStore(this.#rules));
    const [places, records] = [store.places, store.records];
    store.add(nodes, rows.values, rows.weights, from, to);
    this.#hold(store, places);
    const running = this.#running;
    if (running !== undefined && slice.start >= running.from && slice.start < running.to)
      running.store.add(nodes, rows.values, rows.weights, from, to);
    const added = store.records - records;
    if (added > 0 && (this.#early || slice.firstEnd <= this.#watermark)) this.#touch(slice, added, now);
  }

  /** The slice at a place of the axis; a new one only if a record goes there. */
  #sliceAt(t: number, make: boolean): Slice | undefined {
    const known = this.#slices.find(t);
    if (known !== undefined || !make) return known;
    const slice = new Slice(this.#axis, this.#axis.sliceStart(t));
    this.#slices.insert(slice);
    this.#limit();
    this.#next = Math.min(this.#next, this.#nextEnd(slice));
    return slice;
  }

  /** The end of the first window of a slice that the watermark has not passed; Infinity if there is none. */
  #nextEnd({ firstWindow, lastWindow }: Slice): number {
    const start = Math.max(firstWindow, this.#axis.firstEndingAfter(this.#watermark));
    return start > lastWindow ? Number.POSITIVE_INFINITY : this.#axis.windowEnd(start);
  }

  /** Whether all windows that hold t are closed. */
  #isLate(t: number): boolean {
    if (this.#watermark === Number.NEGATIVE_INFINITY || this.#slices.find(t) !== undefined) return false;
    const axis = this.#axis;
    return axis.windowEnd(axis.lastWindow(axis.sliceStart(t))) + this.#windowing.lateness <= this.#watermark;
  }

  #refuseLate(row: number, refused: Refused[]): void {
    refused.push({ row, why: "late" });
    this.#lateRows++;
  }

  /** The windows of a slice that are not closed. */
  *#windowsOf({ firstWindow, lastWindow }: Slice): Generator<number> {
    const axis = this.#axis;
    const first = Math.max(firstWindow, axis.firstEndingAfter(this.#watermark - this.#windowing.lateness));
    for (let start = first; start <= lastWindow; start = axis.next(start)) yield start;
  }

  /** Records that may go into a slice at one go: no window of it is to be fired before the last of them. */
  #roomOf(slice: Slice | undefined): number {
    if (slice === undefined || this.#weighs) return 1;
    const { earlyRows, lateRows } = this.#windowing;
    let room = Number.POSITIVE_INFINITY;
    if (Math.min(earlyRows, lateRows) < room)
      for (const start of this.#windowsOf(slice)) {
        const rows = this.#axis.windowEnd(start) > this.#watermark ? earlyRows : lateRows;
        room = Math.min(room, rows - (this.#open.get(start)?.pending ?? 0));
      }
    return Math.max(1, room);
  }

  /** Records came to a slice: tells the windows whose firing hangs on it. */
  #touch(slice: Slice, added: number, now: number): void {
    const { earlyMs, earlyRows, lateRows } = this.#windowing;
    for (const start of this.#windowsOf(slice)) {
      const isLate = this.#axis.windowEnd(start) <= this.#watermark;
      if (!isLate && !this.#early) break; // later windows end later
      const open = this.#openAt(start);
      open.pending += added;
      if (open.pending >= (isLate ? lateRows : earlyRows)) this.#fire(start, isLate ? "late" : "early", open);
      else if (!isLate) open.timerAt = Math.min(open.timerAt, now + earlyMs);
      else {
        if (lateRows === Number.POSITIVE_INFINITY) this.#late.add(open);
        this.#next = Math.min(this.#next, open.end + this.#windowing.lateness);
      }
    }
  }

  #openAt(start: number): OpenWindow {
    const known = this.#open.get(start);
    if (known !== undefined) return known;
    const end = this.#axis.windowEnd(start);
    const open = { start, end, index: 0, pending: 0, timerAt: Number.POSITIVE_INFINITY, since: 0 };
    this.#open.set(start, open);
    this.#limit();
    return open;
  }

  #limit(): void {
    const { windowsMax } = this.#windowing;
    if (this.#slices.size <= windowsMax && this.#open.size <= windowsMax) return;
    throw new FourfoldError("ERR_FOURFOLD_MEMORY", `more than ${windowsMax} windows are open`, {
      expected: windowsMax,
      fix: "Raise window.windowsMax, make lateness or windows shorter, or refuse event times far ahead with window.futureMsMax",
    });
  }

  /** Windows whose timers are due, in order. */
  #due(now: number): OpenWindow[] {
    if (this.#windowing.earlyMs === Number.POSITIVE_INFINITY) return [];
    return [...this.#open.values()].filter(({ timerAt }) => timerAt <= now).sort((a, b) => order(a.start, b.start));
  }

  /** Lets the watermark do what it does where it now stands. */
  #advance(): void {
    const { axis, lateness } = this.#windowing;
    const from = this.#watermark;
    const to = axis === "rows" && !this.#time.allEnded ? this.#position : this.#time.value;
    if (!(to > from)) return;
    this.#watermark = to;
    if (to < this.#next) return;
    this.#fireOnTime(from, to);
    for (const open of this.#open.values())
      if (open.end + lateness <= to) {
        if (open.pending > 0) this.#fire(open.start, "late", open);
        this.#late.delete(open);
        this.#open.delete(open.start);
      }
    for (const slice of this.#slices.dropWhile(({ lastEnd }) => lastEnd + lateness <= to)) this.#drop(slice);
    this.#plan();
  }

  /** Finds out where the watermark does something next. */
  #plan(): void {
    const { lateness } = this.#windowing;
    const to = this.#watermark;
    this.#next = Number.POSITIVE_INFINITY;
    for (const slice of this.#slices) {
      if (slice.lastEnd <= to) {
        this.#next = Math.min(this.#next, slice.lastEnd + lateness);
        continue;
      }
      this.#next = Math.min(this.#next, this.#nextEnd(slice));
      break;
    }
    for (const { end, pending } of this.#open.values()) if (end <= to && pending > 0) this.#next = Math.min(this.#next, end + lateness);
  }

  /** Fires the windows that end after `from` and not after `to`, in order. */
  #fireOnTime(from: number, to: number): void {
    const axis = this.#axis;
    let start = axis.firstEndingAfter(from);
    for (const slice of this.#slices) {
      start = Math.max(start, slice.firstWindow);
      for (; start <= slice.lastWindow && axis.windowEnd(start) <= to; start = axis.next(start)) {
        const again = this.#windowing.lateness > 0 && axis.windowEnd(start) + this.#windowing.lateness > to;
        this.#fire(start, "on-time", again ? this.#openAt(start) : this.#open.get(start));
      }
      if (axis.windowEnd(start) > to) return;
    }
  }

  /** Fires a window. `open` is what is known of it; undefined if it never fires again and did not before. */
  #fire(start: number, timing: Timing, open: OpenWindow | undefined): void {
    const end = this.#axis.windowEnd(start);
    const { lateness, discarding } = this.#windowing;
    const { chain, version } = this.#setup.chainAt(start);
    const content = this.#contentOf(start, end, timing, open);
    const weightsOf = this.#weighs ? this.#childWeights.of.bind(this.#childWeights) : undefined;
    const closed = this.#closing.close(content.store, chain, weightsOf);
    if (content.isOwn) content.store.drop();
    const isLast = end + lateness <= this.#watermark;
    this.#fired.push({
      pane: { start, end, index: open?.index ?? 0, timing, isLast, discarding },
      watermark: this.#watermark,
      version,
      closed,
    });
    if (open === undefined) return;
    open.index++;
    open.pending = 0;
    open.timerAt = Number.POSITIVE_INFINITY;
    this.#late.delete(open);
    if (this.#parted) this.#part(open);
  }

  /** What a window holds; `isOwn` if the store was made for it. */
  #contentOf(start: number, end: number, timing: Timing, open: OpenWindow | undefined): { store: NodeStore; isOwn: boolean } {
    if (this.#slides && timing === "on-time") return { store: this.#slide(start, end), isOwn: false };
    const since = this.#parted ? (open?.since ?? 0) : 0;
    const stores = this.#slices
      .between(start, end)
      .flatMap(({ parts }) => parts)
      .filter(({ generation }) => generation >= since);
    if (stores.length === 1) return { store: stores[0]!.store, isOwn: false };
    const store = new NodeStore(this.#rules);
    for (const part of stores) store.merge(part.store);
    return { store, isOwn: true };
  }

  /** Slides what the last window held on to this one: takes out the slices that it lacks, and adds those that are new. */
  #slide(start: number, end: number): NodeStore {
    let running = this.#running;
    if (running === undefined || running.to <= start) {
      running?.store.drop();
      running = { store: new NodeStore(this.#rules), from: start, to: start };
      this.#running = running;
    }
    for (const slice of this.#slices.between(running.from, start)) for (const { store } of slice.parts) running.store.unmerge(store);
    for (const slice of this.#slices.between(running.to, end)) for (const { store } of slice.parts) running.store.merge(store);
    running.from = start;
    running.to = end;
    // Keys that come and go leave empty places.
    if (running.store.places > PLACES_KEPT + 4 * running.store.nodes) {
      const store = new NodeStore(this.#rules);
      store.merge(running.store);
      running.store.drop();
      this.#running = { store, from: start, to: end };
      return store;
    }
    return running.store;
  }

  /** All of a window was fired: what comes goes into parts of its own, and parts that no window needs go. */
  #part(open: OpenWindow): void {
    open.since = ++this.#generation;
    for (const slice of this.#slices.between(open.start, open.end)) {
      slice.seal();
      let least = Number.POSITIVE_INFINITY;
      for (const start of this.#windowsOf(slice)) least = Math.min(least, this.#open.get(start)?.since ?? 0);
      for (const store of slice.cut(least)) this.#release(store);
    }
  }

  #drop(slice: Slice): void {
    const running = this.#running;
    if (running !== undefined && slice.start >= running.from && slice.start < running.to) {
      for (const { store } of slice.parts) running.store.unmerge(store);
      running.from = slice.end;
    }
    for (const { store } of slice.parts) this.#release(store);
  }

  #release(store: NodeStore): void {
    if (this.#weighs) for (let place = 0; place < store.places; place++) this.#childWeights.release(store.node(place));
    store.drop();
  }
}

function untimed(): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_RECORD", "the rows have no event times, which the windows of this stream are measured in", {
    fix: "Give each record its event time in milliseconds",
  });
}

/** The error of a row without an event time that windows can have. */
function badTime(row: number, time: unknown, now: number, futureMs: number): FourfoldError {
  if (typeof time === "number" && Math.abs(time) <= TIME_MAX)
    return new FourfoldError("ERR_FOURFOLD_RECORD", `row ${row}: the event time ${time} is ${time - now} ms ahead of the clock`, {
      given: time,
      expected: `at most ${futureMs} ms ahead`,
      fix: "Mend the clock of its source, or raise window.futureMsMax",
      at: { row },
    });
  return new FourfoldError("ERR_FOURFOLD_RECORD", `row ${row}: the event time is ${show(time)}`, {
    given: time,
    expected: "milliseconds since 1970, at most 8.64e15 in size",
    fix: "Give each record its event time in milliseconds",
    at: { row },
  });
}

const order = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);
