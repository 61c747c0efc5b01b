/**
 * What one piece of a job comes to, or several of them together: the open nodes of level f, the weights that columns gave for the children
 * of outer levels, and what all of it was read from, so that nothing can be counted twice. Pieces merge in any order. It reads no source.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { FourfoldError, show } from "../errors.ts";
import { ByteReader, ByteWriter } from "../reduce/bytes.ts";
import { type Chain, chain } from "../reduce/chain.ts";
import { decodeState, encodeState, type Hashing } from "../reduce/codec.ts";
import { type GroupedTable, reductionOf } from "../reduce/grouped.ts";
import type { Key } from "../reduce/key.ts";
import { type KeyLayout, type Layout, layoutOf, type Policy } from "../reduce/layout.ts";
import { OpenNodes } from "../reduce/open.ts";
import { Paths, readColumns, writeColumns } from "../reduce/paths.ts";
import { type Interval, Provenance } from "../reduce/provenance.ts";
import { sum } from "../reduce/reductions.ts";
import { placed, showKey } from "./source.ts";
import type { SpecBody, SpecLevel } from "./spec.ts";

/** Records that are added at one go: a millisecond or two. */
const BATCH = 1 << 16;

const HASHING: Hashing = {
  hash: (bytes) => createHash("sha256").update(bytes).digest(),
  sign: undefined,
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};

/** What all states of a job have in common. */
export interface JobShape {
  readonly spec: SpecBody;
  readonly chain: Chain;
  readonly keys: KeyLayout;
  readonly policy: Policy;
  readonly layout: Layout;
}

/** The shape of a spec's job. Outer levels are sums in it: their weights are known, and used, only at the end. */
export function shapeOf(spec: SpecBody, policy: Policy): JobShape {
  const made = chain(
    Object.fromEntries(
      spec.levels.map((level, i) => {
        const { name, reduce, ddof, weights } = level;
        const own = { reduce, ...(ddof === undefined ? {} : { ddof }), ...(weights === undefined ? {} : { weights: new Float64Array(0) }) };
        return [name, i === 0 ? reductionOf(own) : sum()];
      }),
    ),
  );
  // The columns have names of their own: a state cannot have one whose name is an integer, a table can.
  const keys = { names: (spec.levels[0] as SpecLevel).by.map((_, i) => `k${i}`), depths: spec.levels.map(({ by }) => by.length) };
  return { spec, chain: made, keys, policy, layout: layoutOf(made, keys, policy) };
}

/** The weights of the children of one outer level, by their keys. */
class ChildWeights {
  readonly paths: Paths;
  readonly values: number[] = [];

  constructor(depth: number) {
    this.paths = new Paths(depth);
  }

  /** Sets the weight of a child; gives the one it has, if that is another. */
  set(path: readonly Key[], weight: number): number | undefined {
    const node = this.paths.node(path);
    if (node >= this.values.length) this.values.push(weight);
    const known = this.values[node] as number;
    return known === weight || (known !== known && weight !== weight) ? undefined : known;
  }

  write(to: ByteWriter): void {
    const { columns, places, order } = this.paths.sorted();
    writeColumns(to, columns);
    to.unsigned(this.values.length);
    if (this.values.length === 0) return;
    for (const node of order) {
      for (const column of places) to.unsigned(column[node] as number);
      to.float(this.values[node] as number);
    }
  }

  read(from: ByteReader): void {
    const columns = readColumns(from, this.paths.depth);
    for (let left = from.count(8 + columns.length); left > 0; left--) {
      const path = columns.map((keys): Key => {
        const place = from.unsigned();
        if (place >= keys.length) from.fail(`has a weight with key ${place} of ${keys.length}`);
        return keys[place] as Key;
      });
      this.set(path, from.float());
    }
  }
}

/** See the head of this file. */
export class JobState {
  readonly shape: JobShape;
  readonly open: OpenNodes;
  readonly provenance: Provenance;
  /** True once it holds all pieces, and all weights that tables give. */
  final = false;
  /** By level; those whose weights a column or a table gives. */
  readonly #weights = new Map<number, ChildWeights>();

  constructor(
    shape: JobShape,
    open: OpenNodes = new OpenNodes(shape.chain, shape.keys, shape.policy),
    provenance: Provenance = new Provenance(),
  ) {
    this.shape = shape;
    this.open = open;
    this.provenance = provenance;
    const { levels } = shape.spec;
    levels.forEach(({ weights }, i) => {
      if (i > 0 && typeof weights === "object" && ("column" in weights || "table" in weights))
        this.#weights.set(i, new ChildWeights((levels[i - 1] as SpecLevel).by.length));
    });
  }

  /** Adds what was read of one piece. A generator that yields between slices of work. */
  *add({ values, levels }: GroupedTable, read: Interval): Generator<void> {
    const [inner] = levels;
    if (inner === undefined) return;
    const { offsets, nodes, keys, name } = inner;
    const weights = inner.weights instanceof Float64Array ? inner.weights : undefined;
    for (let node = 0; node < nodes; ) {
      // Several small nodes, or a part of a large one.
      const first = node;
      const start = offsets[first] as number;
      while (node < nodes && (offsets[node + 1] as number) - start <= BATCH) node++;
      const whole = node > first;
      if (!whole) node++;
      const columns = keys.map((column) => column.slice(first, node));
      const end = offsets[node] as number;
      for (let at = start; at < end || at === start; at += BATCH) {
        const stop = whole ? end : Math.min(at + BATCH, end);
        const cut = whole ? offsets.slice(first, node + 1).map((offset) => offset - start) : Uint32Array.of(0, stop - at);
        const level = { name, nodes: node - first, children: stop - at, extent: undefined, offsets: cut };
        this.open.add({
          grouping: {
            tree: { form: "records", leaves: stop - at, levels: [level], frames: [] },
            keys: [{ names: [], columns }],
            order: NO_ORDER,
          },
          values: Float64Array.from(values.subarray(at, stop)),
          weights: weights?.subarray(at, stop),
        });
        yield;
        if (whole) break;
      }
    }
    for (const i of this.#weights.keys()) {
      const given = levels[i]?.weights;
      const child = levels[i - 1];
      if (!(given instanceof Float64Array) || child === undefined) continue;
      for (let node = 0; node < given.length; node++)
        this.setWeight(
          i,
          child.keys.map((column) => column[node] as Key),
          given[node] as number,
        );
      yield;
    }
    this.provenance.add([read]);
  }

  /** Sets the weight of one child of level i. @throws FourfoldError ERR_FOURFOLD_WEIGHTS if another piece gave another */
  setWeight(i: number, path: readonly Key[], weight: number): void {
    const known = this.#weights.get(i)?.set(path, weight);
    if (known !== undefined) throw this.#varies(i, path, known, weight);
  }

  /** The weight of one child of level i. */
  weightOf(i: number, path: readonly Key[]): number | undefined {
    const weights = this.#weights.get(i);
    return weights?.values[weights.paths.node(path)];
  }

  /** Adds all that another state holds; nothing where all of it is here. */
  merge(other: JobState): void {
    const coming = other.provenance.list();
    if (coming.length > 0 && this.provenance.relation(coming) === "contained") return;
    this.open.merge(other.open);
    for (const [i, { paths, values }] of other.#weights) {
      const keys = paths.keys();
      for (const [node, weight] of values.entries()) {
        const path = keys.map((column) => column[node] as Key);
        this.setWeight(i, path, weight);
      }
    }
    this.provenance.add(coming);
  }

  /** The state of one job as bytes: the job's identity, what it is, then docs/state-format.md's, then the weights of each level. */
  encode(identity: string): Uint8Array {
    const to = new ByteWriter();
    to.text(identity);
    to.byte(this.final ? 1 : 0);
    const { open, provenance } = this;
    const state = encodeState({ open, provenance }, this.shape.layout, HASHING);
    to.unsigned(state.length);
    to.bytes(state);
    for (const weights of this.#weights.values()) weights.write(to);
    return to.finish();
  }

  /** Reads what {@link JobState.encode} wrote. @throws FourfoldError ERR_FOURFOLD_STATE if it is damaged or of another job */
  static decode(bytes: Uint8Array, shape: JobShape, identity: string): JobState {
    const from = new ByteReader(bytes);
    if (from.text() !== identity) from.fail("is of another job");
    const final = from.byte();
    if (final > 1) from.fail(`has the mark ${final}, expected 0 or 1`);
    const part = from.bytes(from.unsigned());
    const limits = { bytesMax: part.length, nodesMax: Number.MAX_SAFE_INTEGER };
    const { open, provenance } = decodeState(part, shape.chain, limits, HASHING);
    const state = new JobState(shape, open, provenance);
    state.final = final === 1;
    for (const weights of state.#weights.values()) weights.read(from);
    from.end();
    return state;
  }

  #varies(i: number, path: readonly Key[], first: number, other: number): FourfoldError {
    const { levels, document } = this.shape.spec;
    const { name, weights } = levels[i] as SpecLevel;
    const child = levels[i - 1] as SpecLevel;
    const column = typeof weights === "object" && "column" in weights ? weights.column : "";
    return placed(
      new FourfoldError(
        "ERR_FOURFOLD_WEIGHTS",
        `level ${show(name)}: column ${show(column)} is not constant within ${child.name} (${showKey(child.by, path)}): it has ${first} and ${other}`,
        {
          given: [first, other],
          expected: "one value for each child",
          at: { level: name, column },
          fix: "Make it constant, or take the weights from a table",
        },
      ),
      document,
      `/levels/${i}/weights`,
    ) as FourfoldError;
  }
}

const NO_ORDER = new Uint32Array(0);
