/** What can be wrong with the weights of a level, as errors that name the child and the place in the spec; what is wrong with records is in table-faults.ts. */
import { FourfoldError, show } from "../errors.ts";
import type { Key } from "../reduce/key.ts";
import { placed, showKey } from "./source.ts";
import type { SpecBody, SpecLevel } from "./spec.ts";

/** A list that has not as many weights as a node has children: `lengths` says both. */
export function listLength(
  { levels, document }: SpecBody,
  i: number,
  [weights, children]: readonly [number, number],
  node: number,
  key: readonly Key[],
): FourfoldError {
  const { name, by } = levels[i] as SpecLevel;
  return placed(
    new FourfoldError(
      "ERR_FOURFOLD_WEIGHTS",
      `level ${show(name)}: ${weights} weights are listed, but ${showKey(by, key)} has ${children} children`,
      {
        given: weights,
        expected: children,
        at: { level: name, node },
        fix: "A list is shared by all nodes of its level; for weights of their own use a table",
      },
    ),
    document,
    `/levels/${i}/weights`,
  ) as FourfoldError;
}

/** A weight that is NaN under `nan: "error"`: that of the child `node`. */
export function nanWeight({ levels }: SpecBody, i: number, node: number, key: readonly Key[]): FourfoldError {
  const { name } = levels[i] as SpecLevel;
  const child = levels[i - 1] as SpecLevel;
  return new FourfoldError("ERR_FOURFOLD_NAN", `level ${show(name)}: the weight of ${child.name} (${showKey(child.by, key)}) is NaN`, {
    at: { level: name, node },
    fix: 'Fill the weight in, or use nan: "propagate"',
  });
}

/** What can be wrong with a table of weights. */
export interface WeightTableFaults {
  /** An error of the table about the child at `key`, with the place in the spec. */
  fail(what: string, key: readonly Key[], fix: string): FourfoldError;
  twoRows(key: readonly Key[]): FourfoldError;
  /** An integer that float64 does not hold. */
  inexact(key: readonly Key[]): FourfoldError;
  /** A child whose weight is null. */
  nullWeight(key: readonly Key[]): FourfoldError;
  /** A child without a row; `first` is the first key that the table has a weight for. */
  noRow(key: readonly Key[], first: readonly Key[] | undefined): FourfoldError;
}

/** The errors of the table that level `i` takes its weights from, whose column of weights is `value`. */
export function weightTableFaults({ levels, document }: SpecBody, i: number, value: string): WeightTableFaults {
  const { name } = levels[i] as SpecLevel;
  const child = levels[i - 1] as SpecLevel;
  const fail = (what: string, key: readonly Key[], fix: string): FourfoldError =>
    placed(
      new FourfoldError(
        "ERR_FOURFOLD_WEIGHTS",
        `level ${show(name)}: the weights table ${what} ${child.name} (${showKey(child.by, key)})`,
        { given: key, at: { level: name }, fix },
      ),
      document,
      `/levels/${i}/weights`,
    ) as FourfoldError;
  return {
    fail,
    twoRows: (key) => fail("has two rows for", key, "Keep one row for each key"),
    inexact: (key) =>
      new FourfoldError(
        "ERR_FOURFOLD_INTEGER",
        `the weights of level ${show(name)}: the weight of ${showKey(child.by, key)} is an integer beyond 2^53`,
        { at: { column: value }, fix: 'Cast it: value::DOUBLE, or say "int64": "number"' },
      ),
    nullWeight: (key) => fail("has a null for", key, 'Fill it in, or say "missing": 0 or 1 beside the table'),
    noRow: (key, first) => {
      const like = first && `Add the row, or "missing": 0 or 1; the table's keys look like (${showKey(child.by, first)})`;
      return fail("has no row for", key, like ?? "The table is empty");
    },
  };
}
