/** Weights that change while a stream runs: every change has a number and a point from which it holds, and no result sees half of one. */
import { badOption, FourfoldError } from "../errors.ts";
import { type ByteReader, ByteWriter } from "../reduce/bytes.ts";
import { type Chain, withWeights } from "../reduce/chain.ts";
import type { Weights, WeightsInput } from "../reduce/weights.ts";
import { readWeights, writeWeights } from "../reduce/weights-bytes.ts";

/** A chain with the number of the last change in it. */
export interface ChainVersion {
  readonly chain: Chain;
  readonly version: number;
}

interface Change {
  readonly level: string;
  readonly weights: Weights;
  /** The least start of a window, or time or number of a frame, that it holds for; −Infinity for all to come. */
  readonly from: number;
  readonly version: number;
}

/** Changes that are kept: those for windows that may still be open. */
const CHANGES_MAX = 10_000;

/** See the head of this file. */
export class ChainVersions {
  readonly #first: Chain;
  #changes: Change[] = [];
  #version = 0;
  /** By the versions of the changes in it. */
  #made: Map<string, ChainVersion> = new Map();

  constructor(chain: Chain) {
    this.#first = chain;
  }

  /** Changes so far. */
  get version(): number {
    return this.#version;
  }

  /**
   * Changes the weights of a level from `from` on.
   * @throws FourfoldError ERR_FOURFOLD_LEVEL, ERR_FOURFOLD_WEIGHTS, ERR_FOURFOLD_MEMORY; ERR_FOURFOLD_ARGUMENT for a `from` that is no number
   */
  set(level: string, weights: WeightsInput, from: number = Number.NEGATIVE_INFINITY): number {
    if (typeof from !== "number" || from !== from) throw badOption("from", from, "a number: a time in milliseconds, or of a frame");
    const changed = withWeights(this.#first, level, weights).levels.find(({ name }) => name === level)!;
    return this.#add(level, changed.reduction.weights!, from);
  }

  /**
   * Forgets the changes that nothing which starts at `bound` or later needs, because a later one of the same level holds there. For those starts
   * {@link ChainVersions.at} gives what it gave before, for earlier ones it does not.
   */
  forget(bound: number): void {
    if (this.#changes.length < 2) return;
    const held = new Set<string>();
    const kept: Change[] = [];
    for (const change of this.#changes.toReversed()) {
      if (held.has(change.level)) continue;
      kept.push(change);
      if (change.from <= bound) held.add(change.level);
    }
    if (kept.length < this.#changes.length) this.#changes = kept.reverse();
  }

  /** True if no change holds only for what starts later than `start`. */
  isSettledAt(start: number): boolean {
    return this.#changes.every(({ from }) => from <= start);
  }

  /** The chain for what starts at `start`: the same object for the same weights, as long as none is changed. */
  at(start: number): ChainVersion {
    // By level the last change that holds, latest first.
    const holding = new Map<string, Change>();
    const levels = this.#first.levels.length;
    for (let i = this.#changes.length - 1; i >= 0 && holding.size < levels; i--) {
      const change = this.#changes[i]!;
      if (change.from <= start && !holding.has(change.level)) holding.set(change.level, change);
    }
    const id = Array.from(holding.values(), ({ version }) => version).join();
    const known = this.#made.get(id);
    if (known) return known;
    let chain = this.#first;
    for (const { level, weights } of holding.values()) chain = withWeights(chain, level, inputOf(weights));
    const [last] = holding.values();
    const made = { chain, version: last?.version ?? 0 };
    this.#made.set(id, made);
    return made;
  }

  write(to: ByteWriter): void {
    to.unsigned(this.#version);
    to.unsigned(this.#changes.length);
    for (const { level, weights, from, version } of this.#changes) {
      to.text(level);
      to.float(from);
      to.unsigned(version);
      writeWeights(to, weights);
    }
  }

  /**
   * Reads what {@link ChainVersions.write} wrote. Changes that were made before, by a program that says its weights before it begins, come after
   * those that were read, and are numbered so. A level whose changes the last ones read repeat, from the same points on and in the same order,
   * gets none: a program that says the same each time it starts adds no change.
   * @throws FourfoldError ERR_FOURFOLD_STATE; ERR_FOURFOLD_MEMORY if both together are too many
   */
  read(from: ByteReader): void {
    const own = this.#changes;
    const last = from.unsigned();
    const changes: Change[] = [];
    for (let left = from.count(11); left > 0; left--) {
      const level = from.text();
      const start = from.float();
      const version = from.unsigned();
      const weights = readWeights(from);
      changes.push({ level, from: start, version, weights });
    }
    this.#changes = changes;
    this.#version = last;
    this.#made = new Map();
    const repeated = new Set(own.map(({ level }) => level).filter((level) => endsWith(changes, own, level)));
    for (const { level, weights, from: start } of own) if (!repeated.has(level)) this.#add(level, weights, start);
  }

  #add(level: string, weights: Weights, from: number): number {
    // What a later change of the same level covers is not needed any more.
    const kept = this.#changes.filter((change) => change.level !== level || change.from < from);
    if (kept.length >= CHANGES_MAX)
      throw new FourfoldError("ERR_FOURFOLD_MEMORY", `the stream holds ${CHANGES_MAX} changes of weights, and none more`, {
        expected: CHANGES_MAX,
        fix: "Leave `from` out: such a change replaces the earlier ones of its level",
      });
    this.#version++;
    this.#changes = [...kept, { level, weights, from, version: this.#version }];
    this.#made = new Map();
    return this.#version;
  }
}

/** Whether the last changes of a level in `all` are those in `some`, one for one. */
function endsWith(all: readonly Change[], some: readonly Change[], level: string): boolean {
  const theirs = all.filter((change) => change.level === level);
  const ours = some.filter((change) => change.level === level);
  const tail = theirs.slice(Math.max(0, theirs.length - ours.length));
  return tail.length === ours.length && tail.every(({ from, weights }, i) => from === ours[i]!.from && equal(weights, ours[i]!.weights));
}

function equal(a: Weights, b: Weights): boolean {
  const [one, other] = [a, b].map((weights) => {
    const bytes = new ByteWriter();
    writeWeights(bytes, weights);
    return bytes.finish();
  });
  return one!.length === other!.length && one!.every((byte, i) => byte === other![i]);
}

function inputOf(weights: Weights): WeightsInput {
  switch (weights.form) {
    case "count":
      return "count";
    case "shared":
      return weights.values;
    case "perNode":
      return { perNode: weights.values };
    case "matrix":
      return Array.from({ length: weights.rows }, (_, r) => weights.values.subarray(r * weights.extent, (r + 1) * weights.extent));
    case "byKey":
      return { byKey: weights.entries, ...(weights.missing !== undefined && { missing: weights.missing }) };
  }
}
