/** The weights of a spec's levels: from a column, an expression, a table by key, a count or a list. */
import { show } from "../errors.ts";
import type { Int64Policy } from "./items.ts";
import { type JsonDocument, type JsonValue, pointerStep } from "./json.ts";
import { objectAt, required, specError, textAt } from "./spec-checks.ts";
import { type SpecComputed, type SpecSource, sourceAt } from "./spec-source.ts";

/**
 * Where a level's weights come from: a column, a table by key, the records below each child, or one list for every node. `missing` is what weighs
 * a null, or a child without a row of a table. Without it a null in a column is NaN, as all nulls are (contract clause 10), and in tables an error.
 */
export type SpecWeights =
  /** An expression is a column of the opened source, by this name. */
  | { readonly column: string; readonly expression?: string; readonly missing?: number | "error" }
  | { readonly table: SpecSource; readonly value: string; readonly missing?: number }
  | "count"
  | readonly number[];

const WEIGHT_KEYS = ["column", "expression", "table", "value", "missing"];

/** Checks the weights of a level. @throws FourfoldError ERR_FOURFOLD_SPEC */
export function weightsAt(
  document: JsonDocument,
  value: JsonValue,
  pointer: string,
  what: string,
  innermost: boolean,
  int64: Int64Policy,
): SpecWeights {
  if (value === "count") {
    if (innermost)
      throw specError(document, pointer, `${what}: every record counts once, so "count" weighs nothing here`, {
        given: value,
        fix: 'Use "reduce": "mean" or "sum"',
      });
    return value;
  }
  if (Array.isArray(value)) return listAt(document, value, pointer, what, innermost);
  if (typeof value === "string")
    throw specError(document, pointer, `${what}: given ${show(value)}, expected "count", a column, an expression, a table or a list`, {
      given: value,
      fix: `For a column write { "column": ${JSON.stringify(value)} }`,
    });
  const object = objectAt(document, value, pointer, WEIGHT_KEYS, what);
  const missing = missingAt(document, object["missing"], `${pointer}/missing`, what);
  const number = typeof missing === "number" ? { missing } : {};
  const named = missing === undefined ? {} : { missing };
  const own = ["column", "expression", "table"].filter((key) => object[key] !== undefined);
  const [kind] = own;
  for (const key of [...own.slice(1), ...(kind === "table" || object["value"] === undefined ? [] : ["value"])])
    if (kind !== undefined)
      throw specError(document, pointer + pointerStep(key), `${what}: "${key}" cannot stand beside "${kind}"`, {
        fix: 'Give "column", or "expression", or "table" with "value"',
        atKey: true,
      });
  const text = (key: string): string => textAt(document, object[key] as JsonValue, `${pointer}/${key}`, `${what}, "${key}"`);
  if (kind === "column") return { column: text("column"), ...named };
  if (kind === "expression") {
    const expression = text("expression");
    return { column: `(${expression})`, expression, ...named };
  }
  if (innermost)
    throw specError(document, pointer, `${what}: the children of the innermost level are records, which have no key to look up`, {
      fix: 'Join the table in the SQL and use { "column": "…" }',
    });
  if (kind === undefined)
    throw specError(document, pointer, `${what} needs "column", "expression", or "table" with "value"`, {
      expected: ["column", "expression", "table"],
    });
  const rules = { int64, hierarchy: true };
  return {
    table: sourceAt(document, object["table"] as JsonValue, `${pointer}/table`, `${what}, "table"`, rules),
    value: textAt(document, required(document, object, "value", pointer, what), `${pointer}/value`, `${what}, "value"`),
    ...number,
  };
}

function listAt(document: JsonDocument, value: readonly JsonValue[], pointer: string, what: string, innermost: boolean): readonly number[] {
  if (innermost)
    throw specError(document, pointer, `${what}: a list needs an order and records have none`, {
      given: value,
      fix: 'Use a column: { "column": "…" }',
    });
  value.forEach((weight, i) => {
    if (typeof weight !== "number" || !Number.isFinite(weight))
      throw specError(document, pointer + pointerStep(i), `${what}: weight ${i} is ${show(weight)}, expected a finite number`, {
        given: weight,
        expected: "a finite number",
      });
  });
  return value as readonly number[];
}

function missingAt(document: JsonDocument, missing: JsonValue | undefined, pointer: string, what: string): number | "error" | undefined {
  if (missing === undefined || missing === "error" || (typeof missing === "number" && Number.isFinite(missing))) return missing;
  throw specError(document, pointer, `${what}, "missing": given ${show(missing)}, expected a finite number, such as 0 or 1, or "error"`, {
    given: missing,
    expected: 'a finite number, or "error"',
  });
}

/**
 * The columns that the expressions of the levels' weights add to the source, each once. Columns are found without case; expressions that differ
 * in nothing else (such as texts to compare with) are told apart by a number.
 */
export function computedOf<Level extends { readonly weights?: SpecWeights }>(
  levels: readonly Level[],
): { readonly levels: readonly Level[]; readonly computed: readonly SpecComputed[] } {
  const computed: SpecComputed[] = [];
  const named = levels.map((level, i) => {
    const { weights } = level;
    if (typeof weights !== "object" || !("column" in weights) || weights.expression === undefined) return level;
    const { expression } = weights;
    let found = computed.find((one) => one.expression === expression);
    if (found === undefined) {
      const alike = computed.filter((one) => one.expression.toLowerCase() === expression.toLowerCase()).length;
      found = {
        name: alike === 0 ? weights.column : `${weights.column} #${alike + 1}`,
        expression,
        pointer: `/levels/${i}/weights/expression`,
      };
      computed.push(found);
    }
    return { ...level, weights: { ...weights, column: found.name } };
  });
  return { levels: named, computed };
}
