/** The weights of a table's levels, except those of single records. */
import { FourfoldError, show } from "../errors.ts";
import type { GroupedLevel } from "../reduce/grouped.ts";
import type { NanPolicy } from "../types.ts";
import type { Database, Watch } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import { keyText, placed, showKey } from "./source.ts";
import type { SpecContent } from "./spec.ts";
import type { LevelBuilder, Nodes } from "./table-nodes.ts";
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
    if (nan === "error" && found instanceof Float64Array) refuseNanWeight(builders[i] as LevelBuilder, found, child as LevelBuilder);
    result.push(found);
  }
  return result;
}

function listWeights(spec: SpecContent, i: number, weights: readonly number[], builder: LevelBuilder, children: number): readonly number[] {
  builder.starts.forEach((start, node) => {
    const end = builder.starts[node + 1] ?? children;
    if (end - start === weights.length) return;
    const { name, by } = builder.level;
    throw placed(
      new FourfoldError(
        "ERR_FOURFOLD_WEIGHTS",
        `level ${show(name)}: ${weights.length} weights are listed, but ${showKey(by, builder.keyAt(node))} has ${end - start} children`,
        {
          given: weights.length,
          expected: end - start,
          at: { level: name, node },
          fix: "A list is shared by all nodes of its level; for weights of their own use a table",
        },
      ),
      spec.document,
      `/levels/${i}/weights`,
    );
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
  const { byText, nulls, fail } = await readWeightTable(db, spec, i, weights, allowed, watch);
  const result = new Float64Array(child.starts.length);
  for (let node = 0; node < result.length; node++) {
    const key = child.keyAt(node);
    const weight = byText.get(keyText(key))?.weight ?? weights.missing;
    if (weight === undefined) {
      if (nulls.has(keyText(key))) throw fail("has a null for", key, 'Fill it in, or say "missing": 0 or 1 beside the table');
      const [first] = byText.values();
      const like = first && `Add the row, or "missing": 0 or 1; the table's keys look like (${showKey(child.level.by, first.key)})`;
      throw fail("has no row for", key, like ?? "The table is empty");
    }
    result[node] = weight;
  }
  return result;
}

function refuseNanWeight({ level: { name } }: LevelBuilder, weights: Float64Array, child: LevelBuilder): void {
  const node = weights.findIndex((weight) => weight !== weight);
  if (node < 0) return;
  throw new FourfoldError(
    "ERR_FOURFOLD_NAN",
    `level ${show(name)}: the weight of ${child.level.name} (${showKey(child.level.by, child.keyAt(node))}) is NaN`,
    {
      at: { level: name, node },
      fix: 'Fill the weight in, or use nan: "propagate"',
    },
  );
}
