/**
 * Live trees: all nodes of a chain, kept up to date leaf by leaf, with the bits of a run over the same leaves. It joins the pure trees of
 * reduce/ with options, errors and subscriptions. A tree is memory of its own: it needs no engine once it is there.
 */
import { badOption, checkNames, FourfoldError, show } from "./errors.ts";
import { keptLevels, oneOf, type RunOptions } from "./options.ts";
import { type Chain, outputsOf, withWeights } from "./reduce/chain.ts";
import type { Key } from "./reduce/key.ts";
import { pathId } from "./reduce/key.ts";
import { install, type LivePolicy, type Rebuilt, rebuild } from "./reduce/live-form.ts";
import { LiveRecords } from "./reduce/live-records.ts";
import type { LiveRows } from "./reduce/live-rows.ts";
import type { LiveLevel, LiveNumbers } from "./reduce/live-tree.ts";
import { freeze, LiveView, valuesOf } from "./reduce/live-view.ts";
import { type LiveChange, LiveWatches, type Told } from "./reduce/live-watches.ts";
import { nanLeaf } from "./reduce/nan.ts";
import { resultShape } from "./reduce/resolve.ts";
import { type LevelView, levelView, onlyValue, outputsLast } from "./reduce/result.ts";
import { finish } from "./reduce/slices.ts";
import { readData } from "./reduce/tree.ts";
import type { NumberList, WeightsInput } from "./reduce/weights.ts";
import type { StateResult } from "./state.ts";
import { CONTRACT_VERSION, type Data } from "./types.ts";

/** Options of {@link Engine.live}. */
export interface LiveOptions {
  /** Default that of the engine. */
  readonly nan?: RunOptions["nan"];
  /** Default `"reproducible"`, or `"exact"` if that is the engine's. */
  readonly accuracy?: "reproducible" | "exact";
  /** The most leaves, and nodes of a level. Default 2^24, at most 2^26. */
  readonly leavesMax?: number;
  /** Ends the loading. */
  readonly signal?: AbortSignal;
}

/** All levels of a live tree at one moment. Later updates leave it as it is. */
export interface LiveResult extends StateResult {
  /** How often weights had been changed: {@link Live.setWeights}. */
  readonly weightsVersion: number;
}

/** Counts of a live tree. */
export interface LiveStats {
  /** Leaves that were set or deleted since the tree was made. */
  readonly updates: number;
  /** Nodes that these updates reduced again: at most one for each level and updated leaf. */
  readonly nodesTouched: number;
  readonly leaves: number;
  /** Nodes of all levels. */
  readonly nodes: number;
  /** Bytes of memory held, estimated. */
  readonly bytes: number;
}

const LEAVES_MAX = 2 ** 24;

/** What handles of leaves, and typed arrays, can number. */
const LEAVES_MOST = 2 ** 26;

/** Reads the options of a live tree, with the defaults of an engine. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function liveOptions(options: LiveOptions, engine: Pick<RunOptions, "nan" | "accuracy">): LivePolicy {
  checkNames("live", options, ["nan", "accuracy", "leavesMax", "signal"]);
  const { nan = engine.nan ?? "propagate", leavesMax = LEAVES_MAX, signal } = options;
  const { accuracy = engine.accuracy === "exact" ? "exact" : "reproducible" } = options;
  oneOf("nan", nan, ["propagate", "skip", "error"]);
  oneOf("accuracy", accuracy, ["reproducible", "exact"]);
  if (!Number.isInteger(leavesMax) || leavesMax < 1 || leavesMax > LEAVES_MOST)
    throw badOption("leavesMax", leavesMax, `an integer from 1 to ${LEAVES_MOST}`);
  if (signal !== undefined && typeof (signal as Partial<AbortSignal> | null)?.addEventListener !== "function")
    throw badOption("signal", signal, "an AbortSignal");
  return { nan, accuracy, leavesMax };
}

/** A tree whose leaves change. Make one with {@link Engine.live}. */
export class Live {
  readonly #form: LiveRecords | LiveRows;
  readonly #watches: LiveWatches;
  readonly #last: number;
  #isPlain: boolean;
  #version = 0;
  #updates = 0;
  /** What is under way, during which nothing may be changed. */
  #busy: string | undefined;

  /** @internal */
  constructor(form: LiveRecords | LiveRows) {
    this.#form = form;
    this.#watches = new LiveWatches(form);
    this.#last = form.chain.levels.length;
    this.#isPlain = form.tree.isPlain;
  }

  /** The chain, with the weights that are in force. */
  get chain(): Chain {
    return this.#form.chain;
  }

  /** The one number of a tree whose outermost level is one node. @throws FourfoldError ERR_FOURFOLD_FRAMES if there are several, or none */
  get value(): number {
    return onlyValue(this.values, this.shape);
  }

  /** The values of the outermost level, in order; a new array each time. The outputs of a weight matrix are its last axis. */
  get values(): Float64Array {
    return this.#valuesOf(this.#form.tree.numbers);
  }

  get shape(): readonly number[] {
    return resultShape(this.#form.frames, outputsOf(this.chain));
  }

  /** How often {@link Live.setWeights} has changed weights. */
  get weightsVersion(): number {
    return this.#version;
  }

  get stats(): LiveStats {
    const { tree } = this.#form;
    const nodes = tree.tiers.reduce((total, _, tier) => total + (tier === 0 ? 0 : this.#form.count(tier)), 0);
    const bytes = tree.bytes + this.#form.bytes + this.#watches.bytes;
    return { updates: this.#updates, nodesTouched: tree.touched, leaves: this.#form.leaves, nodes, bytes };
  }

  /**
   * The nodes of a level, as they are whenever they are looked at.
   * @throws FourfoldError ERR_FOURFOLD_LEVEL
   * @example live.level("site").at("eu", "s17").value
   */
  level(name: string): LevelView {
    return new LiveView(this.#form, this.#levelAt(name));
  }

  /** The value of the leaf at a path, or undefined if there is none. @throws FourfoldError ERR_FOURFOLD_KEYS for what is no path of a leaf */
  get(path: readonly Key[]): number | undefined {
    const leaf = this.#form.locate(path);
    return leaf < 0 ? undefined : this.#form.tree.numbers[0]!.values[leaf];
  }

  /**
   * Sets the leaf at a path and all nodes above it. In a tree over records a leaf that is not there is added, with the nodes that it needs.
   * If anything is wrong, the tree stays as it was.
   * @param path keys, or over rows indices, outermost first
   * @param weight of a leaf of a `weightedSum` or `weightedMean` over records; left out, a leaf keeps the one it has
   * @throws FourfoldError ERR_FOURFOLD_KEYS for what is no path; ERR_FOURFOLD_LEVEL for a place that no row has; ERR_FOURFOLD_DTYPE,
   * ERR_FOURFOLD_NAN, ERR_FOURFOLD_WEIGHTS, ERR_FOURFOLD_MEMORY, ERR_FOURFOLD_REDUCTION
   * @example live.set(["eu", "s17", "t3"], 21.5);
   */
  set(path: readonly Key[], value: number, weight?: number): void {
    this.#idle();
    const leaf = this.#form.locate(path);
    this.#checkValue(value, undefined);
    if (leaf >= 0) {
      this.#checkWeight(weight, true);
      this.#change(leaf, value, weight);
    } else this.#insert(path, value, weight);
  }

  /**
   * A number that stands for the leaf at a path, for {@link Live.setLeaf}. It is good until the leaf is deleted.
   * @throws FourfoldError ERR_FOURFOLD_KEYS for what is no path; ERR_FOURFOLD_LEVEL if there is no such leaf
   */
  leaf(path: readonly Key[]): number {
    const leaf = this.#form.locate(path);
    if (leaf < 0) throw noLeaf(path);
    return this.#form.handle(leaf);
  }

  /**
   * As {@link Live.set}, for a leaf by its number: without the time that finding it takes.
   * @throws FourfoldError ERR_FOURFOLD_LEVEL if the leaf is gone
   */
  setLeaf(leaf: number, value: number, weight?: number): void {
    this.#idle();
    const found = this.#leafOf(leaf);
    this.#checkValue(value, undefined);
    this.#checkWeight(weight, true);
    this.#change(found, value, weight);
  }

  /**
   * Sets many leaves as one change: nodes above several of them are reduced once, and subscribers are called once. All of them are set, or,
   * if anything is wrong, none. Of several values for one leaf the last one counts.
   * @param leaves paths, or numbers from {@link Live.leaf}
   * @throws FourfoldError as {@link Live.set}
   */
  setMany(leaves: readonly (readonly Key[])[] | ArrayLike<number>, values: Data, weights?: NumberList): void {
    this.#idle();
    if (!Array.isArray(leaves) && !ArrayBuffer.isView(leaves)) throw badOption("leaves", leaves, "paths or numbers of leaves in an array");
    const given = leaves as ArrayLike<unknown>;
    const numbers = finish(readData(values));
    if (numbers.length !== given.length)
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `there are ${numbers.length} values for ${given.length} leaves`, {
        given: numbers.length,
        expected: given.length,
        fix: "Give one value for each leaf",
      });
    if (weights !== undefined && weights?.length !== given.length)
      throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `there are ${show(weights)} weights for ${given.length} leaves`, {
        given: weights,
        expected: given.length,
        fix: "Give one weight for each leaf, or none",
      });
    const found = new Int32Array(given.length);
    const coming = new Set<string>();
    for (let i = 0; i < found.length; i++) {
      this.#checkValue(numbers[i]!, i);
      const leaf = given[i];
      found[i] = typeof leaf === "number" ? this.#leafOf(leaf) : this.#form.locate(leaf as readonly Key[]);
      if (found[i]! < 0) this.#checkNew(leaf as readonly Key[], coming.add(pathId(leaf as readonly Key[])).size);
      this.#checkWeight(weights?.[i], found[i]! >= 0);
    }
    this.#changeMany(given, found, numbers, weights);
  }

  /**
   * Deletes the leaf at a path of a tree over records, and the nodes that have no other. False if there is none.
   * @throws FourfoldError ERR_FOURFOLD_KEYS for what is no path; ERR_FOURFOLD_ARGUMENT over rows, whose leaves have places; ERR_FOURFOLD_WEIGHTS
   * if a node that would go is weighed by its place
   */
  delete(path: readonly Key[]): boolean {
    this.#idle();
    const form = this.#form;
    if (!(form instanceof LiveRecords))
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", "leaves of rows have places, so none can be deleted", {
        given: path,
        fix: 'Make the tree of records ({ values, keys }), or set the leaf to NaN under nan: "skip"',
      });
    const leaf = form.locate(path);
    if (leaf < 0) return false;
    form.checkRemoval(leaf);
    const { tree } = form;
    tree.logs[0]!.is[tree.note(leaf, 1)] = 0;
    this.#carry(1);
    this.#settle(() => form.remove(leaf));
    return true;
  }

  /**
   * Changes the weights of a level above level f, and all nodes from there on, at one go. No leaf is read.
   * @throws FourfoldError ERR_FOURFOLD_LEVEL, and ERR_FOURFOLD_WEIGHTS if they do not fit, or the level has none
   * @example live.setWeights("region", { byKey: { eu: 0.6, us: 0.4 } });
   */
  setWeights(level: string, weights: WeightsInput): void {
    this.#idle();
    const { chain, first, rebuilt } = this.#reweigh(level, weights);
    const { tree } = this.#form;
    const old = [...tree.numbers];
    install(this.#form, first, rebuilt);
    this.#form.chain = chain;
    this.#isPlain = tree.isPlain;
    this.#version++;
    const told: Told[] = [];
    if (!this.#watches.isEmpty) for (let tier = first + 1; tier <= this.#last; tier++) this.#watches.compare(tier, old[tier]!, told);
    this.#tell(told);
  }

  /**
   * What the levels would be under other weights of a level above level f. It is computed from the nodes inside that level, which are known:
   * no leaf is read, and the tree stays as it is.
   * @param options.keep as for {@link Live.snapshot}
   * @throws FourfoldError as {@link Live.setWeights}
   */
  whatIf(level: string, weights: WeightsInput, options: Pick<RunOptions, "keep"> = {}): LiveResult {
    this.#idle();
    checkNames("whatIf", options, ["keep"]);
    const kept = keptLevels(this.chain, options.keep);
    const { chain, first, rebuilt } = this.#reweigh(level, weights);
    const { levels, numbers } = this.#form.tree;
    return this.#result(chain, [...levels.slice(0, first), ...rebuilt.levels], [...numbers.slice(0, first + 1), ...rebuilt.numbers], kept);
  }

  /**
   * All levels at this moment.
   * @param options.keep levels whose nodes are kept for `level()`: their names, or `"all"`. The outermost is always kept. Leaves are not.
   */
  snapshot(options: Pick<RunOptions, "keep"> = {}): LiveResult {
    checkNames("snapshot", options, ["keep"]);
    const { levels, numbers } = this.#form.tree;
    return this.#result(this.chain, levels, numbers, keptLevels(this.chain, options.keep));
  }

  /**
   * Calls back when the value of a node has changed: once for each update, when all of the update is done. A path of records may be one that
   * no node has yet. What a callback throws is thrown by the call that made the update, which stands, after all other callbacks.
   * Callbacks may look at the tree, and must not change it.
   * @returns what ends the subscription
   * @throws FourfoldError ERR_FOURFOLD_LEVEL for a level or a place of rows that there is not; ERR_FOURFOLD_KEYS for what is no path
   * @example const stop = live.subscribe("region", ["eu"], ({ value, previous }) => console.log(previous, "→", value));
   */
  subscribe(level: string, path: readonly Key[], callback: (change: LiveChange) => void): () => void {
    const tier = this.#levelAt(level) + 1;
    const node = this.#form.find(tier, path);
    if (typeof callback !== "function") throw badOption("callback", callback, "a function");
    if (node < 0 && this.#form.kind === "rows") this.level(level).at(...path); // which says what is wrong
    return this.#watches.add(tier, path, node, callback);
  }

  #insert(path: readonly Key[], value: number, weight: number | undefined): void {
    this.#checkNew(path, 1);
    this.#checkWeight(weight, false);
    const form = this.#form as LiveRecords;
    const leaf = form.add();
    form.tree.note(leaf, 0);
    this.#write(leaf, value, weight);
    try {
      this.#carry(1);
    } catch (error) {
      form.remove(leaf);
      throw error;
    }
    this.#settle();
  }

  #change(leaf: number, value: number, weight: number | undefined): void {
    if (this.#isPlain && this.#watches.isEmpty) {
      this.#form.tree.change(leaf, value, weight);
      this.#updates++;
      return;
    }
    this.#form.tree.note(leaf, 1);
    this.#write(leaf, value, weight);
    this.#carry(1);
    this.#settle();
  }

  /** Sets leaves of which some may not be there yet: they are −1 in `found`. */
  #changeMany(given: ArrayLike<unknown>, found: Int32Array, values: ArrayLike<number>, weights: NumberList | undefined): void {
    const form = this.#form;
    const { tree } = form;
    const added: number[] = [];
    try {
      for (let i = 0; i < found.length; i++) {
        if (found[i]! >= 0) continue;
        found[i] = form.locate(given[i] as readonly Key[]); // an entry before it may have added it
        if (found[i]! >= 0) continue;
        found[i] = (form as LiveRecords).add();
        added.push(found[i]!);
      }
      const leaves = tree.tiers[0]!;
      leaves.startMarks();
      for (const leaf of added) if (leaves.mark(leaf)) tree.note(leaf, 0);
      for (let i = 0; i < found.length; i++) {
        if (leaves.mark(found[i]!)) tree.note(found[i]!, 1);
        this.#write(found[i]!, values[i]!, weights?.[i]);
      }
      this.#carry(found.length);
    } catch (error) {
      for (const leaf of added) (form as LiveRecords).remove(leaf);
      throw error;
    }
    this.#settle();
  }

  #write(leaf: number, value: number, weight: number | undefined): void {
    const { tree } = this.#form;
    tree.numbers[0]!.values[leaf] = value;
    if (weight !== undefined) tree.levels[0]!.weights.values[leaf] = weight;
  }

  /** Carries noted changes upwards. If a user's reduction throws, the tree is as it was. */
  #carry(updates: number): void {
    this.#busy = "a reduction of this tree";
    try {
      this.#form.tree.carry();
    } finally {
      this.#busy = undefined;
    }
    this.#updates += updates;
  }

  /** Ends an update, after `last`, and tells who wants to know. */
  #settle(last?: () => void): void {
    const { tree } = this.#form;
    const told: Told[] = [];
    if (!this.#watches.isEmpty) for (let tier = 1; tier <= this.#last; tier++) this.#watches.collect(tier, tree.logs[tier]!, told);
    last?.();
    tree.settle();
    if (told.length > 0) this.#tell(told);
  }

  #tell(told: readonly Told[]): void {
    const errors: unknown[] = [];
    this.#busy = "a subscriber";
    for (const { change, listeners } of told)
      for (const listener of listeners)
        try {
          listener(change);
        } catch (error) {
          errors.push(error);
        }
    this.#busy = undefined;
    if (errors.length > 1) throw new AggregateError(errors, `${errors.length} subscribers threw; the update stands`);
    if (errors.length > 0) throw errors[0];
  }

  /** Levels from `level` on under other weights, beside those of the tree. */
  #reweigh(level: string, weights: WeightsInput): { readonly chain: Chain; readonly first: number; readonly rebuilt: Rebuilt } {
    const chain = withWeights(this.chain, level, weights);
    const first = this.#levelAt(level);
    if (first === 0)
      throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `level "${level}" is the innermost: its weights are those of the leaves`, {
        given: weights,
        fix: this.#form.kind === "records" ? "Set them leaf by leaf: set(path, value, weight)" : "Make another tree with other weights",
        at: { level },
      });
    this.#busy = "a reduction of this tree";
    try {
      return { chain, first, rebuilt: finish(rebuild(this.#form, this.#form.fit(chain), first, undefined)) };
    } finally {
      this.#busy = undefined;
    }
  }

  #result(chain: Chain, weighing: readonly LiveLevel[], numbers: readonly LiveNumbers[], kept: readonly boolean[]): LiveResult {
    const levels = { ...freeze(this.#form, weighing, numbers, kept), leaves: { at: noLeaves } };
    const values = this.#valuesOf(numbers);
    const shape = resultShape(this.#form.frames, outputsOf(chain));
    return {
      get value() {
        return onlyValue(values, shape);
      },
      values,
      shape,
      records: this.#form.leaves,
      contract: CONTRACT_VERSION,
      weightsVersion: this.#version,
      level: (name) => levelView(levels, name),
    };
  }

  #valuesOf(numbers: readonly LiveNumbers[]): Float64Array {
    const { values, outputs } = valuesOf(this.#form.order(this.#last), numbers[this.#last]!);
    return outputsLast(values, outputs);
  }

  #levelAt(name: string): number {
    const index = this.chain.levels.findIndex((level) => level.name === name);
    if (index >= 0) return index;
    const names = this.chain.levels.map((level) => `"${level.name}"`).join(", ");
    throw new FourfoldError("ERR_FOURFOLD_LEVEL", `there is no level ${show(name)}, the levels are ${names}`, {
      given: name,
      expected: names,
      fix: "Use the name of a level of the chain",
    });
  }

  #leafOf(handle: number): number {
    const leaf = this.#form.leafOf(handle);
    if (leaf < 0)
      throw new FourfoldError("ERR_FOURFOLD_LEVEL", `${show(handle)} stands for no leaf`, {
        given: handle,
        fix: "Ask for it again with leaf(path): a number is good until its leaf is deleted",
      });
    return leaf;
  }

  #checkNew(path: readonly Key[], more: number): void {
    if (!(this.#form instanceof LiveRecords)) throw noLeaf(path);
    this.#form.checkNew(more);
  }

  #checkValue(value: unknown, index: number | undefined): void {
    if (typeof value !== "number")
      throw new FourfoldError("ERR_FOURFOLD_DTYPE", `the value is ${show(value)}, expected a number`, { given: value, expected: "number" });
    if (value !== value && this.#form.policy.nan === "error") {
      if (index !== undefined) throw nanLeaf(this.chain.levels[0]!.name, index);
      throw new FourfoldError("ERR_FOURFOLD_NAN", "the value is NaN", { fix: 'Use nan: "skip" or "propagate", or mend the data' });
    }
  }

  #checkWeight(weight: unknown, isThere: boolean): void {
    const weighs = this.#form.tree.levels[0]!.weights.form === "own" && this.#form.kind === "records";
    if (weight === undefined && (isThere || !weighs)) return;
    const { name, reduction } = this.chain.levels[0]!;
    const refuse = (problem: string, fix: string): FourfoldError =>
      new FourfoldError("ERR_FOURFOLD_WEIGHTS", `level "${name}" is a ${reduction.name}, and ${problem}`, {
        given: weight,
        fix,
        at: { level: name },
      });
    if (!weighs)
      throw refuse("the leaf has a weight", "Leave it out: weights of leaves are for a weightedSum or weightedMean over records");
    if (typeof weight !== "number") throw refuse(`the weight of the leaf is ${show(weight)}`, "Give it a number: set(path, value, weight)");
    if (weight !== weight && this.#form.policy.nan === "error")
      throw new FourfoldError("ERR_FOURFOLD_NAN", `level "${name}": the weight of a leaf is NaN`, {
        fix: 'Give a number, or use nan: "propagate"',
        at: { level: name },
      });
  }

  #idle(): void {
    if (this.#busy === undefined) return;
    throw new FourfoldError(
      "ERR_FOURFOLD_ARGUMENT",
      `${this.#busy} called a method that changes or computes while an update is under way`,
      {
        fix: "Call it when the update is done: queueMicrotask(() => live.set(…))",
      },
    );
  }
}

function noLeaf(path: readonly Key[]): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_LEVEL", `there is no leaf at (${Array.isArray(path) ? path.map(show).join(", ") : show(path)})`, {
    given: path,
    fix: "Over records set(path, value) adds one; rows have the leaves that they were made with",
  });
}

function noLeaves(): never {
  throw new FourfoldError("ERR_FOURFOLD_LEVEL", "a snapshot keeps no leaves, only nodes", {
    fix: "Read the nodes of the innermost level, or look at the live tree: live.level(name).at(…).children()",
  });
}
