/**
 * The strata of a fitted chain: the layers of values it is computed in. Each level is one; under a level f of rows longer
 * than a block lies one more, the blocks' own lane sums (contract clause 2), so that a long row can be cut like everything else.
 */
import { BLOCK } from "./lanes.ts";
import { builtIn, type Fitted, sumRules } from "./resolve.ts";

/** One layer: unit u has `extent` children, or those from offsets[u] to offsets[u + 1], in the layer below (or the leaves). */
export interface Stratum {
  /** The level of the chain it belongs to. */
  readonly level: number;
  /** True for the blocks of a level f of long rows. */
  readonly blocks: boolean;
  readonly units: number;
  readonly children: number;
  readonly extent: number | undefined;
  readonly offsets: Uint32Array | undefined;
  /** The children of its largest unit. */
  readonly childrenMax: number;
  /** Values of each unit: the rows of a weight matrix from its level on, else 1. */
  readonly outputs: number;
}

/** The strata of a fitted chain, innermost first. */
export function strataOf(fitted: Fitted): readonly Stratum[] {
  let outputs = 1;
  const strata = fitted.levels.map(({ nodes, children, extent, offsets, weights }, level): Stratum => {
    if (weights.form === "matrix") outputs = weights.rows;
    const childrenMax = extent ?? longest(offsets!);
    return { level, blocks: false, units: nodes, children, extent, offsets, childrenMax, outputs };
  });
  const rows = strata[0]!;
  return cutsIntoBlocks(fitted, rows) ? withBlocks(rows, strata.slice(1)) : strata;
}

/** The first child of a unit (unit = units gives the end of the last). */
export function unitStart(stratum: Pick<Stratum, "extent" | "offsets">, unit: number): number {
  return stratum.offsets === undefined ? unit * stratum.extent! : stratum.offsets[unit]!;
}

/** How many values of stratum `from` (−1: leaves) lie before a unit of stratum `at`. The levels of a chain serve, too. */
export function valuesBefore(strata: readonly Pick<Stratum, "extent" | "offsets">[], from: number, at: number, unit: number): number {
  let position = unit;
  for (let s = at; s > from; s--) position = unitStart(strata[s]!, position);
  return position;
}

/** The leaves of a stratum's largest unit. */
export function leavesMax(strata: readonly Stratum[], s: number): number {
  if (strata[s]!.units === 0) return 0;
  if (strata.slice(0, s + 1).every(({ extent }) => extent !== undefined)) return valuesBefore(strata, -1, s, 1);
  let most = 0;
  let before = 0;
  for (let unit = 1; unit <= strata[s]!.units; unit++) {
    const next = valuesBefore(strata, -1, s, unit);
    most = Math.max(most, next - before);
    before = next;
  }
  return most;
}

function cutsIntoBlocks(fitted: Fitted, rows: Stratum): boolean {
  if (rows.childrenMax <= BLOCK || sumRules(fitted, 0).sums !== "lanes") return false;
  const kind = builtIn(fitted.levels[0]!);
  return kind !== undefined && kind !== "variance" && kind !== "count";
}

function withBlocks(rows: Stratum, outer: readonly Stratum[]): readonly Stratum[] {
  const blocksBefore = new Uint32Array(rows.units + 1);
  for (let row = 0; row < rows.units; row++)
    blocksBefore[row + 1] = blocksBefore[row]! + Math.ceil((unitStart(rows, row + 1) - unitStart(rows, row)) / BLOCK);
  const units = blocksBefore[rows.units]!;
  const offsets = new Uint32Array(units + 1);
  for (let row = 0, block = 0; row < rows.units; row++)
    for (let start = unitStart(rows, row); block < blocksBefore[row + 1]!; start += BLOCK) offsets[block++] = start;
  offsets[units] = rows.children;
  const { outputs } = rows;
  const perRow = rows.extent === undefined ? undefined : Math.ceil(rows.extent / BLOCK);
  return [
    { level: 0, blocks: true, units, children: rows.children, extent: undefined, offsets, childrenMax: BLOCK, outputs },
    {
      level: 0,
      blocks: false,
      units: rows.units,
      children: units,
      extent: perRow,
      offsets: perRow === undefined ? blocksBefore : undefined,
      childrenMax: perRow ?? longest(blocksBefore),
      outputs,
    },
    ...outer,
  ];
}

function longest(offsets: Uint32Array): number {
  let most = 0;
  for (let i = 1; i < offsets.length; i++) most = Math.max(most, offsets[i]! - offsets[i - 1]!);
  return most;
}
