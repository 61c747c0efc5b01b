/** The weights of a table's levels, except those of single records. */
import type { GroupedLevel } from "../reduce/grouped.ts";
import type { NanPolicy } from "../types.ts";
import type { Database, Watch } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import { keyText } from "./source.ts";
import type { SpecContent } from "./spec.ts";
import type { LevelBuilder, Nodes } from "./table-nodes.ts";
import { listLength, nanWeight } from "./weight-faults.ts";
import { readWeightTable, type TableWeights } from "./weight-table.ts";

type Weights = GroupedLevel["weights"] | undefined;

/** The weights of each level; undefined where it has none, or each record its own. @throws FourfoldError ERR_FOURFOLD_WEIGHTS, ERR_FOURFOLD_NAN */
export async function levelWeights(
  db: Database,
  spec: SpecContent,
  { builders, constants }: Nodes,
  nan: NanPolicy,
  allowed: Allowed,
  watch: Watch,
): Promise<Weights[]> {
  const result: Weights[] = [];
  for (const [i, { weights }] of spec.levels.entries()) {
    const child = builders[i - 1];
    const constant = constants.get(i);
    let found: Weights;
    if (constant !== undefined) found = Float64Array.from(constant);
    else if (weights === "count") found = weights;
    else if (weights !== undefined && child !== undefined) {
      if ("table" in weights) found = await tableWeights(db, spec, i, weights, child, allowed, watch);
      else if (!("column" in weights)) found = listWeights(spec, i, weights, builders[i] as LevelBuilder, child.starts.length);
    }
    if (nan === "error" && found instanceof Float64Array) {
      const at = found.findIndex((weight) => weight !== weight);
      if (at >= 0) throw nanWeight(spec, i, at, (child as LevelBuilder).keyAt(at));
    }
    result.push(found);
  }
  return result;
}

function listWeights(spec: SpecContent, i: number, weights: readonly number[], builder: LevelBuilder, children: number): readonly number[] {
  builder.starts.forEach((start, node) => {
    const end = builder.starts[node + 1] ?? children;
    if (end - start !== weights.length) throw listLength(spec, i, [weights.length, end - start], node, builder.keyAt(node));
  });
  return weights;
}

async function tableWeights(
  db: Database,
  spec: SpecContent,
  i: number,
  weights: TableWeights,
  child: LevelBuilder,
  allowed: Allowed,
  watch: Watch,
): Promise<Float64Array> {
  const { byText, nulls, faults } = await readWeightTable(db, spec, i, weights, allowed, watch);
  const result = new Float64Array(child.starts.length);
  for (let node = 0; node < result.length; node++) {
    const key = child.keyAt(node);
    const weight = byText.get(keyText(key))?.weight ?? weights.missing;
    if (weight === undefined) {
      if (nulls.has(keyText(key))) throw faults.nullWeight(key);
      const [first] = byText.values();
      throw faults.noRow(key, first?.key);
    }
    result[node] = weight;
  }
  return result;
}
