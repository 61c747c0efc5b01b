/** The columns that a spec names in its source, as SQL: what both ways of reading a table (table.ts, large-table.ts) start from. */
import { show } from "../errors.ts";
import type { NanPolicy } from "../types.ts";
import { asDouble, columnOf, keySql, type NumberColumn, numberColumn, type Opened, placed, weightColumn } from "./source.ts";
import type { SourceColumn } from "./source-column.ts";
import type { SpecContent, SpecLevel } from "./spec.ts";

/** The columns of the records. */
export interface RecordColumns {
  /** Of the innermost level, outermost first; `sql` groups and orders as the contract says. */
  readonly keys: readonly { readonly column: SourceColumn; readonly sql: string }[];
  readonly value: NumberColumn;
  /** The weight of each record. */
  readonly weight: NumberColumn | undefined;
  /** Weights of outer levels, with the level each is of. */
  readonly constants: readonly { readonly level: number; readonly column: NumberColumn }[];
}

/** Finds them. `narrow` reads wide integers as INTEGER where it may. @throws FourfoldError ERR_FOURFOLD_COLUMN with the place in the spec */
export function recordColumns(spec: SpecContent, source: Opened, nan: NanPolicy, narrow: boolean): RecordColumns {
  const { levels, document } = spec;
  const at = <T>(pointer: string, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw placed(error, document, pointer);
    }
  };
  const weightAt = (i: number, small: boolean): NumberColumn | undefined => {
    const { weights, name } = levels[i] as SpecLevel;
    if (typeof weights !== "object" || !("column" in weights)) return undefined;
    const part = weights.expression === undefined ? "column" : "expression";
    return at(`/levels/${i}/weights/${part}`, () => weightColumn(source, weights, `the weights of level ${show(name)}`, small));
  };
  const keys = (levels[0] as SpecLevel).by.map((name) =>
    at("/levels/0/by", () => ({ sql: keySql(source, name, "a key"), column: columnOf(source, name, "a key") })),
  );
  const value = at("/value", () => numberColumn(source, spec.value, "the value", narrow));
  const weight = neededWhere(weightAt(0, false), value, nan);
  const constants: { level: number; column: NumberColumn }[] = [];
  for (let level = 1; level < levels.length; level++) {
    const column = weightAt(level, narrow);
    if (column !== undefined) constants.push({ level, column });
  }
  return { keys, value, weight, constants };
}

/** A record that is skipped needs no weight (clause 10: it leaves n and the sum of weights). */
function neededWhere(weight: NumberColumn | undefined, value: NumberColumn, nan: NanPolicy): NumberColumn | undefined {
  if (nan !== "skip" || weight?.absent === undefined) return weight;
  return { ...weight, absent: `(${weight.absent} and not isnan(${asDouble(value)}))` };
}
