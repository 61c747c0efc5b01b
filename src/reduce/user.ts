/** One node of a user's reduction: index order, merged left to right on the 4096-child grid (contract clause 13). */
import { FourfoldError, show } from "../errors.ts";
import { canonical } from "./exact.ts";
import { BLOCK } from "./lanes.ts";
import type { ReductionDefinition } from "./reductions.ts";

/** Where a node stands, for the error of a reduction that throws. */
export interface NodePlace {
  readonly level: string;
  readonly node: number;
}

/** Reduces the n children of a node with a user's functions. @throws FourfoldError ERR_FOURFOLD_REDUCTION if one of them throws */
export function reduceUser(
  definition: ReductionDefinition<unknown>,
  n: number,
  value: (i: number) => number,
  skip: boolean,
  place: NodePlace,
): number {
  let index = 0;
  try {
    let state: unknown;
    for (let start = 0; start === 0 || start < n; start += BLOCK) {
      let block = definition.init();
      for (index = start; index < Math.min(start + BLOCK, n); index++) {
        const x = value(index);
        if (skip && Number.isNaN(x)) continue;
        block = definition.add(block, x);
      }
      state = start === 0 ? block : definition.merge(state, block);
    }
    const result: unknown = definition.finish(state);
    if (typeof result !== "number") throw new TypeError(`finish() gave ${show(result)}, expected a number`);
    return canonical(result);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FourfoldError(
      "ERR_FOURFOLD_REDUCTION",
      `level "${place.level}": reduction "${definition.name}" threw at child ${index} of node ${place.node}: ${why}`,
      {
        cause,
        at: { level: place.level, node: place.node, index },
      },
    );
  }
}
