/** One record batch → the blocks of its rows: which of its columns the stream wants, and what is left when some rows are refused. */
import { isNumberType, typeName } from "../../arrow/numbers.ts";
import type { ArrowColumn, ArrowField } from "../../arrow/schema.ts";
import { FourfoldError, nearest, show } from "../../errors.ts";
import type { Key } from "../../reduce/key.ts";
import type { TypedData } from "../../types.ts";
import type { Block, StreamKeys } from "../types.ts";
import { framesOf, isKeyType, isTimeType, keysOf, numbersOf, timesOf } from "./arrow-values.ts";
import type { BoundFields } from "./fields.ts";
import type { Fault } from "./rejected.ts";

/** Where the columns of a stream stand in a schema. */
export interface Wanted {
  readonly value: number;
  readonly keys: readonly number[];
  readonly path: number | undefined;
  readonly time: number | undefined;
  readonly weight: number | undefined;
  readonly childWeights: readonly { readonly level: string; readonly column: number }[];
}

/** Finds the columns of a stream. @throws FourfoldError ERR_FOURFOLD_COLUMN if one is missing, or of the wrong type */
export function wantedOf(source: string, schema: readonly ArrowField[], fields: BoundFields): Wanted {
  const names = schema.map((field) => field.name);
  const find = (name: string, role: string, fits: (field: ArrowField) => boolean): number => {
    const column = names.indexOf(name);
    const field = schema[column];
    const at = { file: source, column: name };
    if (field === undefined) {
      const meant = nearest(name, names);
      throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${source}: there is no column ${show(name)}; the schema has ${show(names)}`, {
        given: names,
        expected: name,
        at,
        fix: meant === undefined ? "Name the columns with the option fields" : `Did you mean ${show(meant)}?`,
      });
    }
    if (fits(field)) return column;
    const type = field.dictionary === undefined ? typeName(field.type) : `dictionary of ${typeName(field.type)}`;
    throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${source}: column ${show(name)} is of type ${type}, expected ${role}`, {
      given: type,
      expected: role,
      at,
      fix: "Cast it where the stream is written",
    });
  };
  const isNumber = ({ type, dictionary }: ArrowField): boolean => dictionary === undefined && isNumberType(type);
  const isFrame = ({ type, dictionary, children }: ArrowField): boolean =>
    dictionary === undefined &&
    (type.kind === "list" || (type.kind === "fixedList" && type.size === fields.frameValues)) &&
    children[0]!.dictionary === undefined &&
    isNumberType(children[0]!.type);
  const isKey = ({ type }: ArrowField): boolean => isKeyType(type);
  const isTime = ({ type, dictionary }: ArrowField): boolean => dictionary === undefined && isTimeType(type);
  const isText = ({ type }: ArrowField): boolean => type.kind === "utf8";
  const number = "a number: an integer, or a float";
  return {
    value:
      fields.frameValues === undefined
        ? find(fields.value, number, isNumber)
        : find(fields.value, `a list of ${fields.frameValues} numbers: one frame`, isFrame),
    keys: fields.keys.map((key) => find(key, "a key: text, an integer, a float or a boolean", isKey)),
    path: fields.path === undefined ? undefined : find(fields.path, 'text with "/" between the keys', isText),
    time: fields.time === undefined ? undefined : find(fields.time, "a time: a timestamp, a date, a number or text", isTime),
    weight: fields.weight === undefined ? undefined : find(fields.weight, number, isNumber),
    childWeights: fields.childWeights.map(({ level, field }) => ({ level, column: find(field, number, isNumber) })),
  };
}

/** Rows of a batch as a block, and those that cannot be taken, by their place in it. */
export interface Taken {
  readonly block: Block | undefined;
  readonly faults: ReadonlyMap<number, Fault>;
}

/** Reads rows `from` to `to` of a batch. */
export function takeRows(
  columns: readonly ArrowColumn[],
  wanted: Wanted,
  fields: BoundFields,
  dictionaries: ReadonlyMap<bigint, readonly Key[]>,
  from: number,
  to: number,
): Taken {
  const faults = new Map<number, Fault>();
  const refuse = (row: number, fault: Fault): void => {
    if (!faults.has(row)) faults.set(row, fault);
  };
  const at = (i: number): ArrowColumn => columns[i]!;
  const { frameValues = 1 } = fields;
  const keys = (i: number): StreamKeys => {
    const column = at(i);
    return keysOf(
      column,
      from,
      to,
      column.field.dictionary === undefined ? undefined : dictionaries.get(column.field.dictionary.id),
      fields.nullKeys,
      refuse,
    );
  };
  const numbers = (i: number): TypedData => numbersOf(at(i), from, to, 1, refuse);
  const all: Block = {
    rows: to - from,
    data: fields.frameValues === undefined ? numbers(wanted.value) : framesOf(at(wanted.value), from, to, frameValues, refuse),
    keys: wanted.path === undefined ? wanted.keys.map(keys) : paths(keys(wanted.path), to - from, fields, refuse),
    times: wanted.time === undefined ? undefined : timesOf(at(wanted.time), from, to, fields.timeUnit, refuse),
    weights: wanted.weight === undefined ? undefined : numbers(wanted.weight),
    ...(wanted.childWeights.length === 0
      ? {}
      : { childWeights: Object.fromEntries(wanted.childWeights.map(({ level, column }) => [level, numbers(column)])) }),
  };
  return { block: without(all, faults, frameValues), faults };
}

/** The keys of each path, one column for each level. */
function paths(column: StreamKeys, rows: number, fields: BoundFields, refuse: (row: number, fault: Fault) => void): Key[][] {
  const { depth } = fields;
  const keys = Array.from({ length: depth }, () => new Array<Key>(rows).fill(null));
  for (let i = 0; i < rows; i++) {
    const path = "dictionary" in column ? column.dictionary[column.codes[i]!] : column[i];
    if (typeof path !== "string") continue;
    const parts = path.split("/");
    if (parts.length !== depth)
      refuse(i, {
        what: `field ${show(fields.path)} is ${show(path)}: ${parts.length} keys, expected ${depth}`,
        given: path,
        expected: `${depth} keys`,
        ...(fields.path === undefined ? {} : { column: fields.path }),
      });
    else for (let k = 0; k < depth; k++) keys[k]![i] = parts[k]!;
  }
  return keys;
}

/** A block without the rows that are refused; undefined if none is left. */
function without(block: Block, faults: ReadonlyMap<number, Fault>, frameValues: number): Block | undefined {
  const { rows, data, keys, times, weights, childWeights } = block;
  if (faults.size === 0) return rows === 0 ? undefined : block;
  const kept = Array.from({ length: rows }, (_, i) => i).filter((i) => !faults.has(i));
  if (kept.length === 0) return undefined;
  const pick = (column: ArrayLike<number>): Float64Array => Float64Array.from(kept, (i) => column[i]!);
  const frames = data.slice(0, kept.length * frameValues);
  for (const [to, i] of kept.entries()) frames.set(data.subarray(i * frameValues, (i + 1) * frameValues), to * frameValues);
  return {
    rows: kept.length,
    data: frames,
    keys: keys.map((column) =>
      "dictionary" in column
        ? { codes: column.codes.slice(0, kept.length).map((_, to) => column.codes[kept[to]!]!), dictionary: column.dictionary }
        : kept.map((i) => column[i]),
    ),
    times: times === undefined ? undefined : pick(times),
    weights: weights === undefined ? undefined : pick(weights),
    ...(childWeights === undefined
      ? {}
      : { childWeights: Object.fromEntries(Object.entries(childWeights).map(([level, column]) => [level, pick(column)])) }),
  };
}
