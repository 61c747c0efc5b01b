/** The end of a job: weights that tables give, and the levels above f, by the rules and with the errors of a run. */
import { type GroupedLevel, readGrouped } from "../reduce/grouped.ts";
import type { Key } from "../reduce/key.ts";
import { asChildren, reduceLevels } from "../reduce/levels.ts";
import { type ClosedNodes, closedNodes } from "../reduce/open.ts";
import { type FittedLevel, fit } from "../reduce/resolve.ts";
import type { LevelValues } from "../reduce/result.ts";
import { oneType } from "../reduce/rolled.ts";
import type { Database } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import type { JobState } from "./job-state.ts";
import { keyText } from "./source.ts";
import type { SpecLevel } from "./spec.ts";
import { listLength, nanWeight } from "./weight-faults.ts";
import { readWeightTable } from "./weight-table.ts";

/** Level f closed, with the keys and the nesting of all levels. */
function closedLeaves(state: JobState): { readonly inner: LevelValues; readonly levels: GroupedLevel[]; readonly records: number } {
  const { levels } = state.shape.spec;
  const { tree, keys, values, records } = state.open.close(levels.map((_, i) => i === 0));
  const inner = values[0] as LevelValues;
  return {
    inner,
    records,
    levels: levels.map(({ name, by, reduce, ddof }, i) => {
      const { nodes, extent, offsets } = tree.levels[i] as (typeof tree.levels)[number];
      return {
        name,
        keyNames: by,
        keys: (keys?.[i]?.columns ?? []).map(oneType),
        nodes,
        offsets: offsets ?? Uint32Array.from({ length: nodes + 1 }, (_, node) => node * (extent as number)),
        reduce: i === 0 ? ("sum" as const) : reduce,
        ...(ddof === undefined || i === 0 ? {} : { ddof }),
      };
    }),
  };
}

const keyAt = ({ keys }: GroupedLevel, node: number): Key[] => keys.map((column) => column[node] as Key);

/** The key as it came. */
const plain = (key: readonly Key[]): Key[] =>
  key.map((part) => (typeof part === "bigint" && Number.isSafeInteger(Number(part)) ? Number(part) : part));

/**
 * Takes the weights that tables give into a state that holds all pieces.
 * @throws FourfoldError ERR_FOURFOLD_WEIGHTS for a child without a row, and what reading a table throws
 */
export async function readTableWeights(state: JobState, db: Database, allowed: Allowed, signal: AbortSignal | undefined): Promise<void> {
  const { spec } = state.shape;
  if (!spec.levels.some(({ weights }) => typeof weights === "object" && "table" in weights)) return;
  const { levels } = closedLeaves(state);
  for (const [i, { weights }] of spec.levels.entries()) {
    if (i === 0 || typeof weights !== "object" || !("table" in weights)) continue;
    const { byText, nulls, faults } = await readWeightTable(db, spec, i, weights, allowed, { signal });
    const child = levels[i - 1] as GroupedLevel;
    for (let node = 0; node < child.nodes; node++) {
      const key = plain(keyAt(child, node));
      const weight = byText.get(keyText(key))?.weight ?? weights.missing;
      if (weight === undefined) {
        if (nulls.has(keyText(key))) throw faults.nullWeight(key);
        const [first] = byText.values();
        throw faults.noRow(key, first?.key);
      }
      state.setWeight(i, key, weight);
    }
  }
}

/** The weights of a level, as a chain takes them. */
function weightsOf(state: JobState, i: number, levels: readonly GroupedLevel[]): GroupedLevel["weights"] | undefined {
  const { weights } = state.shape.spec.levels[i] as SpecLevel;
  if (i === 0 || weights === undefined) return undefined; // those of level f came with the records
  if (weights === "count") return weights;
  const child = levels[i - 1] as GroupedLevel;
  if ("column" in weights || "table" in weights)
    return Float64Array.from({ length: child.nodes }, (_, node) => {
      const weight = state.weightOf(i, plain(keyAt(child, node))) ?? Number.NaN;
      if (weight === weight || state.shape.policy.nan !== "error") return weight;
      throw nanWeight(state.shape.spec, i, node, keyAt(child, node));
    });
  const level = levels[i] as GroupedLevel;
  for (let node = 0; node < level.nodes; node++) {
    const children = (level.offsets[node + 1] as number) - (level.offsets[node] as number);
    if (children === weights.length) continue;
    throw listLength(state.shape.spec, i, [weights.length, children], node, keyAt(level, node));
  }
  return weights;
}

/** Level f as the spec has it: here its nodes are closed already. The weights of records are gone. */
function asTold(level: FittedLevel, { shape }: JobState): FittedLevel {
  const { reduction } = shape.chain.levels[0]!;
  return { ...level, reduction, weights: reduction.weights === undefined ? { form: "none" } : { form: "perNode", values: NO_WEIGHTS } };
}

const NO_WEIGHTS = new Float64Array(0);

/** Closes all levels. @throws FourfoldError ERR_FOURFOLD_WEIGHTS, ERR_FOURFOLD_NAN as a run does */
export function closeJob(state: JobState): ClosedNodes {
  const { nan, accuracy } = state.shape.policy;
  const { inner, levels, records } = closedLeaves(state);
  const weighted = levels.map((level, i) => {
    const weights = weightsOf(state, i, levels);
    return weights === undefined ? level : { ...level, weights };
  });
  // Each node of level f stands for its records, as the one child of itself.
  const { chain, tree, keys } = readGrouped({ values: inner.values, records, levels: weighted, readMs: 0 });
  const fitted = fit(chain, tree, nan, accuracy, undefined, keys);
  const all = [inner, ...reduceLevels(fitted, 1, asChildren(inner, nan))];
  return closedNodes(
    { ...fitted, levels: fitted.levels.map((level, i) => (i === 0 ? asTold(level, state) : level)) },
    keys,
    all,
    all.map(() => true),
    records,
  );
}
