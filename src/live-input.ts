/** What a live tree starts with: reads and checks it, and builds the tree. */
import { checkNames, FourfoldError, show } from "./errors.ts";
import type { Chain } from "./reduce/chain.ts";
import { checkKeyed, type Input, keyDepths, readInput } from "./reduce/input.ts";
import type { KeyColumn } from "./reduce/key.ts";
import { leafReduction } from "./reduce/layout.ts";
import type { LivePolicy } from "./reduce/live-form.ts";
import { LiveRecords } from "./reduce/live-records.ts";
import { LiveRows } from "./reduce/live-rows.ts";
import { refuseNaN } from "./reduce/nan.ts";
import { SLICE } from "./reduce/slices.ts";
import { readData } from "./reduce/tree.ts";
import { type NumberList, readWeights } from "./reduce/weights.ts";
import type { Data, TypedData } from "./types.ts";

/** Keyed records for a live tree: each of them is a leaf with a key of its own. */
export interface LiveKeyedInput {
  readonly values: Data;
  /** One column for each key, outermost first; the last one names the leaf in its node. */
  readonly keys: Readonly<Record<string, KeyColumn>>;
  /** One weight for each record, where level f is a `weightedSum` or `weightedMean`. */
  readonly weights?: NumberList;
  /** The key columns that name the nodes of each level, innermost first. Default: all but the last, then one fewer at each level. */
  readonly by?: readonly (readonly string[])[];
}

/** What a live tree can start with: keyed records, or rows (a tensor, ragged rows, numbers). */
export type LiveInput = LiveKeyedInput | Input;

/** Reads the input of a live tree. Yields between slices of work. @throws FourfoldError as a run does, and as {@link Engine.live} says */
export function* readLive(chain: Chain, x0: LiveInput, policy: LivePolicy, seed: number): Generator<void, LiveRecords | LiveRows> {
  const isKeyed = typeof x0 === "object" && x0 !== null && !ArrayBuffer.isView(x0) && !Array.isArray(x0) && "keys" in x0;
  return isKeyed ? yield* readRecords(chain, x0 as LiveKeyedInput, policy, seed) : yield* readRows(chain, x0 as Input, policy);
}

function* readRecords(chain: Chain, x0: LiveKeyedInput, policy: LivePolicy, seed: number): Generator<void, LiveRecords> {
  checkNames("live", x0, ["values", "keys", "weights", "by"]);
  const { keys, by } = x0;
  checkKeyed({ values: [], keys, ...(by && { by }) });
  const names = Object.keys(keys);
  if (names.length === 0)
    throw new FourfoldError("ERR_FOURFOLD_KEYS", "the records of a live tree have no key columns", {
      given: keys,
      fix: "Give one at least: the last column names the leaf, keys: { region, site, sensor }",
    });
  const outer = { values: [], keys: Object.fromEntries(names.slice(0, -1).map((name) => [name, keys[name]!])) };
  const depths = keyDepths(chain, { ...outer, ...(by && { by }) });
  const values = yield* readData(x0.values);
  for (const name of names) checkColumn(name, keys[name], values.length);
  const weights = leafWeights(chain, x0.weights, values.length);
  const records = new LiveRecords(chain, names, depths, policy, seed);
  yield* records.load({ values, columns: keys, weights });
  return records;
}

function checkColumn(name: string, column: KeyColumn | undefined, records: number): void {
  const isList = typeof column === "object" && column !== null && column.length !== undefined;
  if (isList && column.length === records) return;
  const found = isList ? `has ${column.length} entries for ${records} values` : `is ${show(column)}, expected an array`;
  throw new FourfoldError("ERR_FOURFOLD_KEYS", `key column "${name}" ${found}`, {
    given: isList ? column.length : column,
    expected: records,
    fix: "Give one key for each value",
    at: { column: name },
  });
}

/** The weights of the leaves: those of the records, or of the chain's level f. */
function leafWeights(chain: Chain, given: NumberList | undefined, records: number): Float64Array | undefined {
  const { name } = chain.levels[0]!;
  const reduction = leafReduction(chain);
  const refuse = (problem: string, fix: string): FourfoldError =>
    new FourfoldError("ERR_FOURFOLD_WEIGHTS", `level "${name}" is a ${reduction.name}, and ${problem}`, {
      given,
      fix,
      at: { level: name },
    });
  const own = reduction.weights;
  if (own === undefined) {
    if (given !== undefined)
      throw refuse("the records have weights", "Leave them out, or make the level a weightedSum or weightedMean with { perNode: [] }");
    return undefined;
  }
  if (own.form !== "perNode")
    throw refuse(
      own.form === "byKey" ? "leaves bring their weights with them" : "records have no order, so they cannot share a list of weights",
      "Make the level with { perNode: [] }, and give one weight for each record: { values, keys, weights }",
    );
  const weights = given === undefined ? own : readWeights({ perNode: given }, reduction.name);
  if (weights.form !== "perNode" || weights.values.length !== records)
    throw refuse(
      `there are ${weights.form === "perNode" ? weights.values.length : 0} weights for ${records} records`,
      "Give { values, keys, weights }, one weight for each record",
    );
  return weights.values;
}

function* readRows(chain: Chain, x0: Input, policy: LivePolicy): Generator<void, LiveRows> {
  const { tree, data } = yield* readInput(chain, x0);
  const most = tree.levels.reduce((most, { nodes }) => Math.max(most, nodes), tree.leaves);
  if (most > policy.leavesMax)
    throw new FourfoldError(
      "ERR_FOURFOLD_MEMORY",
      `the tree has ${tree.leaves} leaves and up to ${most} nodes of a level, leavesMax is ${policy.leavesMax}`,
      {
        given: most,
        expected: policy.leavesMax,
        fix: "Raise leavesMax, or make several trees",
      },
    );
  const values = yield* copied(data);
  if (policy.nan === "error") yield* refuseNaN(chain.levels[0]!.name, values, undefined);
  const rows = new LiveRows(chain, tree, policy, values);
  yield* rows.load();
  return rows;
}

function* copied(data: TypedData): Generator<void, Float64Array> {
  const values = new Float64Array(data.length);
  const slice = 16 * SLICE;
  for (let start = 0; start < data.length; start += slice) {
    values.set(data.subarray(start, start + slice), start);
    yield;
  }
  return values;
}
