/** Who wants to know of which node of a live tree. A path may be watched before there is a node, and stays watched when it has gone. */
import type { Key } from "./key.ts";
import { pathId } from "./key.ts";
import type { LiveForm } from "./live-form.ts";
import type { LiveLog } from "./live-log.ts";

/** A change of one node's value. */
export interface LiveChange {
  readonly level: string;
  readonly path: readonly Key[];
  /** Its value; undefined if the node has gone. */
  readonly value: number | undefined;
  /** Its value for each output of the chain. */
  readonly values: readonly number[];
  /** The records below it that are not skipped. */
  readonly count: number;
  /** The value before; undefined if there was no node. */
  readonly previous: number | undefined;
}

/** A callback of {@link Live.subscribe}. */
export type LiveListener = (change: LiveChange) => void;

interface Watch {
  readonly path: readonly Key[];
  readonly listeners: Set<{ readonly listener: LiveListener }>;
}

/** A change that is to be told. */
export interface Told {
  readonly change: LiveChange;
  readonly listeners: readonly LiveListener[];
}

/** See the head of this file. */
export class LiveWatches {
  readonly #form: LiveForm;
  /** By tier: by path, and by the number of the node that is there now. */
  readonly #byPath: Map<string, Watch>[];
  readonly #byNode: Map<number, Watch>[];
  #size = 0;

  constructor(form: LiveForm) {
    this.#form = form;
    this.#byPath = form.tree.tiers.map(() => new Map());
    this.#byNode = form.tree.tiers.map(() => new Map());
  }

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  get bytes(): number {
    return 200 * this.#size; // a set, two entries of maps and a path; estimated
  }

  /** Adds a listener; what it returns takes it away. `node` is the one at the path now, or −1. */
  add(tier: number, path: readonly Key[], node: number, listener: LiveListener): () => void {
    const id = pathId(path);
    const watch = this.#byPath[tier]!.get(id) ?? { path: [...path], listeners: new Set() };
    const entry = { listener };
    watch.listeners.add(entry);
    this.#byPath[tier]!.set(id, watch);
    if (node >= 0) this.#byNode[tier]!.set(node, watch);
    this.#size++;
    return () => {
      if (!watch.listeners.delete(entry)) return;
      this.#size--;
      if (watch.listeners.size > 0) return;
      this.#byPath[tier]!.delete(id);
      for (const [at, other] of this.#byNode[tier]!) if (other === watch) this.#byNode[tier]!.delete(at);
    };
  }

  /** What is to be told of the changes that a log of a tier holds. The nodes that are gone still have their paths. */
  collect(tier: number, log: LiveLog, told: Told[]): void {
    const byPath = this.#byPath[tier]!;
    if (byPath.size === 0) return;
    const byNode = this.#byNode[tier]!;
    const { planes, values } = this.#form.tree.numbers[tier]!;
    for (let entry = 0; entry < log.length; entry++) {
      const node = log.ids[entry]!;
      const was = log.was[entry] === 1;
      const is = log.is[entry] === 1;
      const watch = was ? byNode.get(node) : byPath.get(pathId(this.#form.path(tier, node)));
      if (watch === undefined) continue;
      if (!is) byNode.delete(node);
      else if (!was) byNode.set(node, watch);
      let differs = was !== is;
      for (let r = 0; r < planes; r++) if (!Object.is(values[planes * node + r], log.values[planes * entry + r])) differs = true;
      if (differs) told.push(this.#told(tier, watch, node, is, was ? log.values[planes * entry] : undefined));
    }
  }

  /** What is to be told after the values of a tier were made anew, where nodes stay as they are. */
  compare(tier: number, old: { readonly planes: number; readonly values: Float64Array }, told: Told[]): void {
    const { planes, values } = this.#form.tree.numbers[tier]!;
    for (const [node, watch] of this.#byNode[tier]!) {
      let differs = planes !== old.planes;
      for (let r = 0; r < planes; r++) if (!Object.is(values[planes * node + r], old.values[old.planes * node + r])) differs = true;
      if (differs) told.push(this.#told(tier, watch, node, true, old.values[old.planes * node]));
    }
  }

  #told(tier: number, { path, listeners }: Watch, node: number, is: boolean, previous: number | undefined): Told {
    const { planes, values, records } = this.#form.tree.numbers[tier]!;
    const now = is ? Array.from(values.subarray(planes * node, planes * (node + 1))) : [];
    const change = {
      level: this.#form.chain.levels[tier - 1]!.name,
      path,
      value: now[0],
      values: now,
      count: is ? records![planes * node]! : 0,
      previous,
    };
    return { change, listeners: Array.from(listeners, ({ listener }) => listener) };
  }
}
