/**
 * What open windows hold: the states of their slices, and what a sliding window keeps from one firing to the next. It knows keys, nodes and
 * reductions, and nothing of watermarks and triggers.
 */
import { FourfoldError } from "../errors.ts";
import type { ByteReader, ByteWriter } from "../reduce/bytes.ts";
import type { Chain } from "../reduce/chain.ts";
import { type KeyLayout, leafReduction, type Policy } from "../reduce/layout.ts";
import { type ClosedNodes, statesOf } from "../reduce/open.ts";
import { isExactKind } from "../reduce/state.ts";
import { ChildWeights } from "./child-weights.ts";
import { Closing } from "./closing.ts";
import { KeySpace } from "./key-space.ts";
import { NodeStore, type StoreRules } from "./node-store.ts";
import type { WindowAxis } from "./window-axis.ts";
import type { Rows } from "./window-rows.ts";
import { Slice, Slices } from "./window-slices.ts";
import type { Windowing } from "./windowing.ts";

/** What contents are made of. */
export interface ContentsSetup {
  readonly chain: Chain;
  readonly keys: KeyLayout;
  readonly policy: Policy;
  readonly windowing: Windowing;
  /** Levels whose nodes are kept in what is closed. */
  readonly kept: readonly boolean[];
}

/** A sliding window: the slices from `from` to `to`, merged. */
interface Running {
  readonly store: NodeStore;
  from: number;
  to: number;
}

/** Keys that are kept for windows to come, however few are open. */
const KEYS_KEPT = 1024;

/** Empty places of a sliding window that do no harm. */
const PLACES_KEPT = 64;

/** Bytes of the smallest slice, as it is written. */
const SLICE_BYTES = 10;

/** See the head of this file. */
export class WindowContents {
  readonly slices: Slices = new Slices();
  readonly #rules: StoreRules;
  readonly #space: KeySpace;
  readonly #closing: Closing;
  readonly #weights: ChildWeights;
  readonly #axis: WindowAxis;
  readonly #slicesMax: number;
  /** The name of level f, and whether the weights of its records come with them. */
  readonly #level: string;
  readonly #isWeighted: boolean;
  /** Whether sliding windows are kept from one firing to the next, children being taken out again. */
  readonly #slides: boolean;
  #running: Running | undefined;
  /** Firings after which parts of slices were begun. */
  #generation = 0;
  /** The most nodes that were open since keys were forgotten. */
  #peak = 0;

  constructor({ chain, keys, policy, windowing, kept }: ContentsSetup, axis: WindowAxis, parted: boolean) {
    const make = (): NodeStore["states"] => statesOf(chain, policy);
    this.#rules = { states: make, skip: policy.nan === "skip", budget: { held: 0, most: windowing.nodesMax }, places: new Int32Array(0) };
    make(); // refuses a reduction that records cannot have
    this.#space = new KeySpace(keys, policy.nullKeys);
    this.#closing = new Closing(this.#space, keys, policy, kept);
    this.#weights = new ChildWeights(chain, keys, this.#space, policy.nan === "error");
    this.#axis = axis;
    this.#slicesMax = windowing.windowsMax;
    const { kind, weights } = leafReduction(chain);
    this.#level = chain.levels[0]!.name;
    this.#isWeighted = weights !== undefined;
    this.#slides = axis.every < axis.size && !parted && kind !== "user" && isExactKind(kind);
  }

  /** Level-f nodes that are held, over all slices. */
  get nodes(): number {
    return this.#rules.budget.held;
  }

  /** Whether rows bring weights of outer levels: such rows go in one by one. */
  get weighs(): boolean {
    return this.#weights.levels > 0;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Writes the node of each row, or SKIPPED, or REFUSED, having said why. */
  resolve({ keys, rows, weights }: Rows, into: Int32Array, refuse: (row: number, error: FourfoldError) => void): void {
    if (this.#isWeighted !== (weights !== undefined)) throw wrongWeights(this.#level, this.#isWeighted);
    this.#forget();
    this.#space.resolve(keys, rows, into, refuse);
  }

  /** The slice at a place of the axis, which is made if there is none. @throws FourfoldError ERR_FOURFOLD_MEMORY */
  sliceAt(t: number): Slice {
    const known = this.slices.find(t);
    if (known !== undefined) return known;
    if (this.slices.size === this.#slicesMax) throw tooManyWindows(this.#slicesMax);
    const slice = new Slice(this.#axis, this.#axis.sliceStart(t));
    this.slices.insert(slice);
    return slice;
  }

  /** Learns the weights of outer levels that a row brings, or says why it cannot be taken. */
  weigh(rows: Rows, row: number, node: number): FourfoldError | undefined {
    return this.#weights.take(rows.childWeights, row, node);
  }

  /** Adds rows to a slice, less those without a node, and gives how many. */
  put(slice: Slice, { values, weights }: Rows, nodes: Int32Array, from: number, to: number): number {
    const store = slice.open(this.#generation, () => new NodeStore(this.#rules));
    const [places, records] = [store.places, store.records];
    store.add(nodes, values, weights, from, to);
    this.#hold(store, places);
    const running = this.#running;
    if (running !== undefined && slice.start >= running.from && slice.start < running.to)
      running.store.add(nodes, values, weights, from, to);
    return store.records - records;
  }

  /**
   * Closes what a window holds in parts of a generation or later. `slides` says that the windows before it were closed in order, and those
   * after it will be.
   */
  close(start: number, end: number, since: number, slides: boolean, chain: Chain): ClosedNodes {
    const weightsOf = this.weighs ? this.#weights.of.bind(this.#weights) : undefined;
    if (slides && this.#slides) return this.#closing.close(this.#slide(start, end), chain, weightsOf);
    const stores: NodeStore[] = [];
    for (const { parts } of this.slices.between(start, end))
      for (const { generation, store } of parts) if (generation >= since) stores.push(store);
    if (stores.length === 1) return this.#closing.close(stores[0]!, chain, weightsOf);
    const all = new NodeStore(this.#rules);
    for (const store of stores) all.merge(store);
    const closed = this.#closing.close(all, chain, weightsOf);
    all.drop();
    return closed;
  }

  /** Begins a generation of parts and gives its number. */
  begin(): number {
    return ++this.#generation;
  }

  /** A window was fired: what comes to its slices goes into new parts. `least` gives the first generation of a slice that some window needs. */
  part(start: number, end: number, least: (slice: Slice) => number): void {
    for (const slice of this.slices.between(start, end)) {
      slice.seal();
      for (const store of slice.cut(least(slice))) this.#release(store);
    }
  }

  /** Drops the slices that no window needs any more. */
  dropWhile(is: (slice: Slice) => boolean): void {
    const running = this.#running;
    for (const slice of this.slices.dropWhile(is)) {
      if (running !== undefined && slice.start >= running.from && slice.start < running.to) {
        for (const { store } of slice.parts) running.store.unmerge(store);
        running.from = slice.end;
      }
      for (const { store } of slice.parts) this.#release(store);
    }
    if (running === undefined || running.store.records > 0) return;
    running.store.drop();
    this.#running = undefined;
  }

  write(to: ByteWriter): void {
    to.unsigned(this.#generation);
    const nodes = this.#space.write(to, this.#liveNodes());
    for (const weights of this.#weights.list(nodes)) for (const weight of weights) to.float(weight);
    const numbers = new Map(Array.from(nodes, (node, number) => [node, number]));
    to.unsigned(this.slices.size);
    for (const slice of this.slices) slice.write(to, numbers);
  }

  /** Reads what {@link WindowContents.write} wrote. @throws FourfoldError ERR_FOURFOLD_STATE */
  read(from: ByteReader): void {
    this.#generation = from.unsigned();
    const nodes = this.#space.read(from);
    const weights = Array.from({ length: this.#weights.levels }, () => Float64Array.from(nodes, () => from.float()));
    if (!this.#weights.learn(nodes, weights)) from.fail("has two weights for one child");
    let previous = Number.NaN;
    for (let left = from.count(SLICE_BYTES); left > 0; left--) {
      if (this.slices.size === this.#slicesMax) throw tooManyWindows(this.#slicesMax);
      const slice = Slice.read(from, this.#axis, this.#generation, () => {
        const store = new NodeStore(this.#rules);
        store.read(from, nodes);
        this.#hold(store, 0);
        return store;
      });
      if (slice.start <= previous) from.fail("has slices that are not sorted");
      previous = slice.start;
      this.slices.insert(slice);
    }
  }

  /** Slides what the last window held on to this one: takes out the slices that it lacks, and adds those that are new. */
  #slide(start: number, end: number): NodeStore {
    let running = this.#running;
    if (running === undefined || running.to <= start) {
      running?.store.drop();
      running = { store: new NodeStore(this.#rules), from: start, to: start };
    } else if (running.store.places > PLACES_KEPT + 4 * running.store.nodes) {
      // Keys that come and go leave empty places.
      const store = new NodeStore(this.#rules);
      store.merge(running.store);
      running.store.drop();
      running = { ...running, store };
    }
    this.#running = running;
    for (const slice of this.slices.between(running.from, start)) for (const { store } of slice.parts) running.store.unmerge(store);
    for (const slice of this.slices.between(running.to, end)) for (const { store } of slice.parts) running.store.merge(store);
    running.from = start;
    running.to = end;
    return running.store;
  }

  /** The nodes that have records. */
  #liveNodes(): Int32Array {
    const nodes = new Set<number>();
    for (const slice of this.slices) for (const { store } of slice.parts) for (const node of store.live()) nodes.add(node);
    return Int32Array.from(nodes);
  }

  /** Forgets the keys that only windows of the past had, when they are most of those known: a stream has no end of them. */
  #forget(): void {
    this.#peak = Math.max(this.#peak, this.nodes);
    if (this.#space.size <= KEYS_KEPT + 4 * this.#peak) return;
    const live = this.#liveNodes();
    const weights = this.#weights.list(live);
    const numbers = this.#space.compact(live);
    this.#closing.forget();
    this.#weights.learn(
      live.map((node) => numbers[node]!),
      weights,
    );
    for (const slice of this.slices)
      for (const { store } of slice.parts) {
        store.renumber(numbers);
        this.#hold(store, 0);
      }
    // It may hold places of nodes that are forgotten; the next firing makes it anew.
    this.#running?.store.drop();
    this.#running = undefined;
    this.#peak = this.nodes;
  }

  /** The nodes of a slice from a place on are new there. */
  #hold(store: NodeStore, from: number): void {
    if (this.weighs) for (let place = from; place < store.places; place++) this.#weights.hold(store.node(place));
  }

  #release(store: NodeStore): void {
    if (this.weighs) for (let place = 0; place < store.places; place++) this.#weights.release(store.node(place));
    store.drop();
  }
}

function wrongWeights(level: string, isWeighted: boolean): FourfoldError {
  return new FourfoldError(
    "ERR_FOURFOLD_WEIGHTS",
    `level "${level}" is ${isWeighted ? "" : "not "}weighted by record, and the rows have ${isWeighted ? "no " : ""}weights`,
    {
      fix: isWeighted ? "Give one weight for each row" : "Leave them out, or make the level a weightedSum or weightedMean",
      at: { level },
    },
  );
}

/** The error of more windows than may be open. */
export function tooManyWindows(windowsMax: number): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_MEMORY", `more than ${windowsMax} windows are open`, {
    expected: windowsMax,
    fix: "Raise window.windowsMax, make lateness or windows shorter, or refuse event times far ahead with window.futureMsMax",
  });
}
