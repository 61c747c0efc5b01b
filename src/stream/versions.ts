/** Weights that change while a stream runs: every change has a number and a point from which it holds, and no result sees half of one. */
import { FourfoldError } from "../errors.ts";
import type { ByteReader, ByteWriter } from "../reduce/bytes.ts";
import { type Chain, withWeights } from "../reduce/chain.ts";
import type { Key } from "../reduce/key.ts";
import { readKey, writeKey } from "../reduce/paths.ts";
import type { Weights, WeightsInput } from "../reduce/weights.ts";

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

const FORMS = ["shared", "perNode", "matrix", "count", "byKey"] as const;

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
   * @throws FourfoldError ERR_FOURFOLD_LEVEL, ERR_FOURFOLD_WEIGHTS, ERR_FOURFOLD_MEMORY
   */
  set(level: string, weights: WeightsInput, from: number = Number.NEGATIVE_INFINITY): number {
    const changed = withWeights(this.#first, level, weights).levels.find(({ name }) => name === level)!;
    // What a later change of the same level covers is not needed any more.
    const kept = this.#changes.filter((change) => change.level !== level || change.from < from);
    if (kept.length >= CHANGES_MAX)
      throw new FourfoldError("ERR_FOURFOLD_MEMORY", `the stream holds ${CHANGES_MAX} changes of weights, and none more`, {
        expected: CHANGES_MAX,
        fix: "Leave `from` out: such a change replaces the earlier ones of its level",
      });
    this.#version++;
    this.#changes = [...kept, { level, weights: changed.reduction.weights!, from, version: this.#version }];
    this.#made = new Map();
    return this.#version;
  }

  /** True if no change holds only for what starts later than `start`. */
  isSettledAt(start: number): boolean {
    return this.#changes.every(({ from }) => from <= start);
  }

  /** The chain for what starts at `start`. */
  at(start: number): ChainVersion {
    let id = "";
    let version = 0;
    for (const change of this.#changes) {
      if (change.from > start) continue;
      id += `${change.version},`;
      version = change.version;
    }
    const known = this.#made.get(id);
    if (known) return known;
    let chain = this.#first;
    for (const { level, weights, from } of this.#changes) if (from <= start) chain = withWeights(chain, level, inputOf(weights));
    const made = { chain, version };
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

  /** Reads what {@link ChainVersions.write} wrote. @throws FourfoldError ERR_FOURFOLD_STATE */
  read(from: ByteReader): void {
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
  }
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

function writeWeights(to: ByteWriter, weights: Weights): void {
  to.byte(FORMS.indexOf(weights.form));
  if (weights.form === "count") return;
  if (weights.form === "byKey") {
    to.byte(weights.missing === undefined ? 0 : 1);
    if (weights.missing !== undefined) to.float(weights.missing);
    to.unsigned(weights.entries.length);
    for (const [path, weight] of weights.entries) {
      to.unsigned(path.length);
      for (const key of path) writeKey(to, key);
      to.float(weight);
    }
    return;
  }
  if (weights.form === "matrix") to.unsigned(weights.rows);
  to.unsigned(weights.values.length);
  for (const value of weights.values) to.float(value);
}

function readWeights(from: ByteReader): Weights {
  const form = FORMS[from.byte()] ?? from.fail("has weights of a form that is not known");
  if (form === "count") return { form };
  if (form === "byKey") {
    const missing = from.byte() === 1 ? from.float() : undefined;
    const entries: (readonly [Key[], number])[] = [];
    for (let left = from.count(9); left > 0; left--) {
      const path: Key[] = [];
      for (let keys = from.count(1); keys > 0; keys--) path.push(readKey(from));
      entries.push([path, from.float()]);
    }
    return { form, entries, missing, places: new Map() };
  }
  const rows = form === "matrix" ? from.unsigned() : 1;
  const values = new Float64Array(from.count(8));
  for (let i = 0; i < values.length; i++) values[i] = from.float();
  return form === "matrix" ? { form, values, rows, extent: rows === 0 ? 0 : values.length / rows } : { form, values };
}
