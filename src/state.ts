/**
 * Mergeable states of chains over records: split records any way, reduce each part to a state, merge in any order and tree, finish. The
 * bits are those of one run over all of them. It joins the pure states of reduce/ with the hashes of node:crypto.
 *
 * finish() closes nodes in plain TypeScript, not through an engine: what is above level f needs the records below each node (the weight
 * "count", missing nodes), which no input of an engine can say, and it is small beside the records.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { badOption, checkNames, FourfoldError, show } from "./errors.ts";
import { keptLevels, oneOf, type RunOptions } from "./options.ts";
import { type Chain, checkChain } from "./reduce/chain.ts";
import { decodeState as decode, digestState, encodeState, type Hashing, hex, textOf } from "./reduce/codec.ts";
import type { NullKeys } from "./reduce/group.ts";
import { checkKeyed, keyDepths } from "./reduce/input.ts";
import type { KeyColumn } from "./reduce/key.ts";
import { type KeyLayout, type Layout, layoutOf, misfit, type Policy, policyText } from "./reduce/layout.ts";
import { groupBatch, OpenNodes } from "./reduce/open.ts";
import { checkInterval, type Interval, Provenance } from "./reduce/provenance.ts";
import { checkRecordChain } from "./reduce/record-chain.ts";
import { resultShape } from "./reduce/resolve.ts";
import { type LevelView, levelView, onlyValue, outputsLast } from "./reduce/result.ts";
import { finish } from "./reduce/slices.ts";
import { readData } from "./reduce/tree.ts";
import type { NumberList } from "./reduce/weights.ts";
import { CONTRACT_VERSION, type Data, type NanPolicy } from "./types.ts";

/** Options of {@link createState}. */
export interface StateOptions {
  /** The names of the key columns, outermost first. Default none: all records are in one node. */
  readonly keys?: readonly string[];
  /** The key columns that name the nodes of each level, innermost level first. Default: all of them, then one fewer at each level. */
  readonly by?: readonly (readonly string[])[];
  /** What to do with null and NaN keys. Default `"error"`. */
  readonly nullKeys?: NullKeys;
  /** Default `"propagate"`. */
  readonly nan?: NanPolicy;
  /** How means divide. Default `"reproducible"`. */
  readonly accuracy?: "reproducible" | "exact";
}

/** Records for a state. */
export interface StateRecords {
  readonly values: Data;
  /** One column for each key of the state. */
  readonly keys?: Readonly<Record<string, KeyColumn>>;
  /** One weight for each record, where level f is a `weightedSum` or `weightedMean`. */
  readonly weights?: NumberList;
}

/** What became of a contribution. */
export interface Taken {
  /** True if all of it had been read before, so that it was dropped and nothing changed. */
  readonly replayed: boolean;
}

/** Options of {@link State.encode}. */
export interface EncodeOptions {
  /** Signs the bytes with HMAC-SHA-256: who reads them needs the same key. A string stands for its UTF-8. */
  readonly hmacKey?: Uint8Array | string;
}

/** Options of {@link decodeState}. */
export interface DecodeOptions extends EncodeOptions {
  /** Bytes of the longest state that is read. Default 256 MiB. */
  readonly bytesMax?: number;
  /** The most level-f nodes that are read. Default 2^24. */
  readonly nodesMax?: number;
}

/** The result of a state: as {@link Result} of a run, but for what only a run has. */
export interface StateResult {
  /** The one number of a chain whose outermost level is one node. @throws FourfoldError ERR_FOURFOLD_FRAMES if there are several, or none */
  readonly value: number;
  /** The values of the outermost level, in order of key. */
  readonly values: Float64Array;
  readonly shape: readonly number[];
  /** Records that were reduced, the skipped ones included. */
  readonly records: number;
  /** The version of the numeric contract the values keep. */
  readonly contract: string;
  /** The nodes of a kept level. @throws FourfoldError ERR_FOURFOLD_LEVEL */
  level(name: string): LevelView;
}

const BYTES_MAX = 256 << 20;
const NODES_MAX = 2 ** 24;

/**
 * An empty state of a chain over records.
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT, ERR_FOURFOLD_KEYS; ERR_FOURFOLD_WEIGHTS for weights of level f in the chain, which come with
 * the records; ERR_FOURFOLD_REDUCTION for a user's reduction that needs an order or cannot write its states
 * @example
 * const state = createState(chain({ shop: sum(), region: mean() }), { keys: ["region", "shop"] });
 * state.add({ values: [3, 4], keys: { region: ["north", "north"], shop: ["a", "b"] } });
 * const bytes = state.encode();
 */
export function createState(chain: Chain, options: StateOptions = {}): State {
  checkChain(chain);
  checkNames("createState", options, ["keys", "by", "nullKeys", "nan", "accuracy"]);
  const { keys: names = [], by, nullKeys = "error", nan = "propagate", accuracy = "reproducible" } = options;
  oneOf("nan", nan, ["propagate", "skip", "error"]);
  oneOf("accuracy", accuracy, ["reproducible", "exact"]);
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string") || new Set(names).size < names.length)
    throw badOption("keys", names, "different names of key columns, outermost first");
  const input = { values: [], keys: Object.fromEntries(names.map((name) => [name, []])), nullKeys, ...(by && { by }) };
  checkKeyed(input);
  const keys = { names, depths: keyDepths(chain, input) };
  checkRecordChain(chain);
  const policy = { nan, accuracy, nullKeys };
  return new State(chain, keys, policy, layoutOf(chain, keys, policy), new OpenNodes(chain, keys, policy), new Provenance());
}

/**
 * Reads what {@link State.encode} wrote. The chain, weights included, must be the one it was made for.
 * @throws FourfoldError ERR_FOURFOLD_STATE for bytes that are damaged, cut short, of another version, chain or weights, or signed with
 * another key, and for those that are not as encode() writes them
 */
export function decodeState(bytes: Uint8Array, chain: Chain, options: DecodeOptions = {}): State {
  checkChain(chain);
  checkNames("decodeState", options, ["hmacKey", "bytesMax", "nodesMax"]);
  const { bytesMax = BYTES_MAX, nodesMax = NODES_MAX } = options;
  for (const [name, limit] of Object.entries({ bytesMax, nodesMax })) if (!(limit > 0)) throw badOption(name, limit, "a number above 0");
  if (!(bytes instanceof Uint8Array))
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `the bytes of a state are ${show(bytes)}, expected a Uint8Array`, {
      given: bytes,
      expected: "Uint8Array",
      fix: 'Give what encode() returned. Between processes, JSON turns bytes into an object: fork with serialization: "advanced", or send them as base64',
    });
  checkRecordChain(chain);
  const { sketch, policy, layout, open, provenance } = decode(bytes, chain, { bytesMax, nodesMax }, hashing(options));
  return new State(chain, sketch, policy, layout, open, provenance);
}

/** The partial result of a chain over records. Make one with {@link createState} or {@link decodeState}. */
export class State {
  readonly #chain: Chain;
  readonly #keys: KeyLayout;
  readonly #policy: Policy;
  readonly #layout: Layout;
  readonly #open: OpenNodes;
  readonly #provenance: Provenance;
  #spoilt: unknown;

  /** @internal */
  constructor(chain: Chain, keys: KeyLayout, policy: Policy, layout: Layout, open: OpenNodes, provenance: Provenance) {
    this.#chain = chain;
    this.#keys = keys;
    this.#policy = policy;
    this.#layout = layout;
    this.#open = open;
    this.#provenance = provenance;
  }

  /** Nodes of level f. */
  get nodes(): number {
    return this.#open.nodes;
  }

  /** Records that were added and not skipped. */
  get items(): number {
    return this.#open.items;
  }

  /** What was read, in order of source, partition and offset. */
  get provenance(): readonly Interval[] {
    return this.#provenance.list();
  }

  /**
   * Adds records, in any order. With `read`, the offsets they come from (of which there may be more than records): records that were read
   * before are dropped. A state says so for all of its records or for none. An error of the input leaves the state as it was.
   * @throws FourfoldError as a run does for values, keys, weights and NaN; ERR_FOURFOLD_STATE for offsets that overlap in part with what was read
   * @example state.add({ values, keys: { region, shop } }, { source: "sales", partition: 3, from: 120, to: 180 });
   */
  add(records: StateRecords, read?: Interval): Taken {
    this.#usable();
    if (read !== undefined) checkInterval(read);
    const coming = read === undefined ? [] : [read];
    const columns = this.#columnsOf(records);
    if (this.#provenance.relation(coming) === "contained") return { replayed: true };
    const batch = { values: finish(readData(records.values)), columns, weights: records.weights };
    const grouped = groupBatch(this.#chain, this.#keys, this.#policy, batch);
    this.#saysAlike(read !== undefined, "the records");
    this.#change(() => this.#open.add(grouped));
    this.#provenance.add(coming);
    return { replayed: false };
  }

  /**
   * Adds all that another state holds, which stays as it is. What the other has read is dropped if all of it was read here before.
   * States that do not say what they have read are always merged, even one with itself.
   * @throws FourfoldError ERR_FOURFOLD_STATE if chain, key columns, weights or policy differ, what they have read overlaps in part, or only one
   * of them says what it has read
   */
  merge(other: State): Taken {
    this.#usable();
    if (!(other instanceof State)) throw badOption("other", other, "a state; decodeState() makes one of bytes");
    other.#usable();
    this.#fits(other);
    if (other.#holds) this.#saysAlike(!other.#provenance.isEmpty, "the other state");
    const coming = other.#provenance.list();
    if (this.#provenance.relation(coming) === "contained") return { replayed: true };
    this.#change(() => this.#open.merge(other.#open));
    this.#provenance.add(coming);
    return { replayed: false };
  }

  /** The state as bytes (docs/state-format.md). Equal states give equal bytes, however they came about. */
  encode(options: EncodeOptions = {}): Uint8Array {
    this.#usable();
    checkNames("encode", options, ["hmacKey"]);
    return encodeState({ open: this.#open, provenance: this.#provenance }, this.#layout, hashing(options));
  }

  /** SHA-256 of the value alone, as hex: equal for the same records under the same chain and policy, wherever they were read from. */
  digest(): string {
    this.#usable();
    return hex(digestState(this.#open, this.#layout, hashing({})));
  }

  /**
   * Closes all nodes and gives the result. The state stays as it is, and more may be added.
   * @param options.keep levels whose nodes are kept for `level()`: their names, or `"all"`. The outermost is always kept.
   * @throws FourfoldError ERR_FOURFOLD_WEIGHTS if weights of an outer level do not fit its children
   */
  finish(options: Pick<RunOptions, "keep"> = {}): StateResult {
    this.#usable();
    checkNames("finish", options, ["keep"]);
    const closed = this.#open.close(keptLevels(this.#chain, options.keep));
    const { values, outputs } = closed.outermost;
    const shape = resultShape(closed.tree.frames, closed.outputs);
    const all = outputsLast(values, outputs);
    const levels = { ...closed, leaves: { at: noLeaves } };
    return {
      get value() {
        return onlyValue(all, shape);
      },
      values: all,
      shape,
      records: closed.records,
      contract: CONTRACT_VERSION,
      level: (name) => levelView(levels, name),
    };
  }

  /** The key columns of a batch, in this state's order. */
  #columnsOf(records: StateRecords): Record<string, KeyColumn> {
    const { names } = this.#keys;
    const wanted = `{ values${names.length > 0 ? ", keys" : ""} }`;
    if (
      Array.isArray(records) ||
      ArrayBuffer.isView(records) ||
      (records as Partial<StateRecords> | null | undefined)?.values === undefined
    )
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `the records are ${show(records)}, expected ${wanted}`, {
        given: records,
        fix: "States hold records, which have no order; rows, which have one ({ data, shape }, { data, offsets }, numbers), go to engine.run()",
      });
    checkNames("add", records, ["values", "keys", "weights"]);
    const { keys = {} } = records;
    checkKeyed({ values: [], keys });
    const given = Object.keys(keys);
    if (given.length !== names.length || names.some((name) => !Object.hasOwn(keys, name)))
      throw new FourfoldError(
        "ERR_FOURFOLD_KEYS",
        `the records have the key columns [${given.join(", ")}], the state [${names.join(", ")}]`,
        {
          given,
          expected: names,
          fix: "Give one column for each key of the state",
        },
      );
    return Object.fromEntries(names.map((name) => [name, keys[name]!]));
  }

  #fits(other: State): void {
    const [here, there] = [this.#layout, other.#layout];
    const { hash, equal } = hashing({});
    if (!equal(here.chain, there.chain)) throw misfit("chain", textOf(here.chain), textOf(there.chain));
    if (!equal(here.policy, there.policy)) throw misfit("policy", policyText(this.#policy), policyText(other.#policy));
    if (!equal(here.weights, there.weights)) throw misfit("weights", hex(hash(here.weights)), hex(hash(there.weights)));
  }

  get #holds(): boolean {
    return this.#open.holdsRecords || !this.#provenance.isEmpty;
  }

  /** Of records that do not say where they come from none could be dropped as a replay, and others would be dropped with them. */
  #saysAlike(says: boolean, what: string): void {
    if (!this.#holds || says !== this.#provenance.isEmpty) return;
    const [does, doesNot] = says ? [what, "this state"] : ["this state", what];
    throw new FourfoldError(
      "ERR_FOURFOLD_STATE",
      `${does} and ${doesNot} do not fit: only ${does} ${does === "the records" ? "say" : "says"} what was read`,
      {
        fix: "Give { source, partition, from, to } with all records of what is to be merged, or with none",
      },
    );
  }

  /** A user's function may throw half-way; then the state is neither what it was nor what it should be. */
  #change(change: () => void): void {
    try {
      change();
    } catch (error) {
      this.#spoilt = error;
      throw error;
    }
  }

  #usable(): void {
    if (this.#spoilt === undefined) return;
    throw new FourfoldError("ERR_FOURFOLD_STATE", "an earlier call was ended half-way by an error, so the state is of no use", {
      cause: this.#spoilt,
      fix: "Go back to the bytes of an earlier encode(), or start again",
    });
  }
}

function hashing({ hmacKey }: EncodeOptions): Hashing {
  if (hmacKey !== undefined && !((typeof hmacKey === "string" || hmacKey instanceof Uint8Array) && hmacKey.length > 0))
    throw badOption("hmacKey", hmacKey?.length === 0 ? "an empty one" : typeof hmacKey, "a Uint8Array or a string that is not empty"); // the key itself is not shown
  return {
    hash: (bytes) => createHash("sha256").update(bytes).digest(),
    sign: hmacKey === undefined ? undefined : (bytes) => createHmac("sha256", hmacKey).update(bytes).digest(),
    equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
  };
}

function noLeaves(): never {
  throw new FourfoldError("ERR_FOURFOLD_LEVEL", "a state keeps no records, only what they add up to", {
    fix: "Read the nodes of the innermost level, or run the chain over the records themselves",
  });
}
