/** Which fields of a record are its value, keys, time and weights: what the caller says, joined with what the stream asks for. */
import { badOption, checkNames, FourfoldError, show } from "../../errors.ts";
import type { ReadContext } from "../types.ts";
import { TIME_UNITS, type TimeUnit } from "./time.ts";

/** The names of a record's fields. What is left out has the name that stands behind it. */
export interface Fields {
  /** The value, or the array of a frame's values: "value". */
  readonly value?: string;
  /** The field of each key, by the name of the stream's key: the same name. */
  readonly keys?: Readonly<Record<string, string>>;
  /** One field that holds all keys, outermost first, in place of a field for each: an array, or text with "/" between the keys. */
  readonly path?: string;
  /** The event time: "time". */
  readonly time?: string;
  /** The weight of level f: "weight". */
  readonly weight?: string;
  /** The weight that a record carries for an outer level, by the name of the level. These have no names of their own. */
  readonly childWeights?: Readonly<Record<string, string>>;
}

/** What all sources of records take. */
export interface SourceOptions {
  /** Names the source in positions, errors and checkpoints. Default: the path, "stdin", or the name of the format. */
  readonly name?: string;
  readonly fields?: Fields;
  /** What a time given as a number counts: milliseconds. Text is read by itself: ISO 8601 and its like, UTC where no zone stands. */
  readonly timeUnit?: TimeUnit;
  /** The longest line, or the longest record of CSV, in bytes: 1 MiB. A longer one is rejected without being held in memory. */
  readonly lineBytesMax?: number;
}

/** The options of {@link SourceOptions}. */
const SOURCE_OPTIONS: readonly string[] = ["name", "fields", "timeUnit", "lineBytesMax"];

/** The longest line where the caller names none: far beyond a record, and little beside what a process has. */
const LINE_BYTES_MAX = 1 << 20;

/** Fields joined with what the stream reads: undefined where it reads none. */
export interface BoundFields {
  readonly value: string;
  /** One for each key of the stream; empty where `path` holds them. */
  readonly keys: readonly string[];
  readonly path: string | undefined;
  /** How many keys the stream has. */
  readonly depth: number;
  readonly time: string | undefined;
  readonly timeUnit: TimeUnit;
  readonly weight: string | undefined;
  readonly childWeights: readonly { readonly level: string; readonly field: string }[];
  readonly frameValues: number | undefined;
  /** True if a null or missing key is a key. */
  readonly nullKeys: boolean;
}

function checkText(option: string, given: unknown): void {
  if (given !== undefined && (typeof given !== "string" || given === "")) throw badOption(option, given, "the name of a field");
}

function checkRecord(option: string, given: unknown): void {
  if (given === undefined) return;
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw badOption(option, given, "an object of names of fields");
  for (const [name, field] of Object.entries(given)) {
    if (field === undefined) throw badOption(`${option}.${name}`, field, "the name of a field");
    checkText(`${option}.${name}`, field);
  }
}

/** A whole number of at least `least`. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkCount(option: string, given: unknown, least = 1): void {
  if (given !== undefined && !(Number.isSafeInteger(given) && (given as number) >= least))
    throw badOption(option, given, `a whole number, ${least} or more`);
}

/** Refuses options of a source that cannot be. `more` names options that its format adds. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkSourceOptions(what: string, options: SourceOptions, more: readonly string[] = []): void {
  checkNames(what, options, [...SOURCE_OPTIONS, ...more]);
  const { name, fields, timeUnit } = options;
  if (name !== undefined && (typeof name !== "string" || name === "")) throw badOption("name", name, "a name");
  if (timeUnit !== undefined && !TIME_UNITS.includes(timeUnit)) throw badOption("timeUnit", timeUnit, TIME_UNITS.map(show).join(", "));
  checkCount("lineBytesMax", options.lineBytesMax);
  if (fields === undefined) return;
  checkNames(`${what}: fields`, fields, ["value", "keys", "path", "time", "weight", "childWeights"]);
  for (const one of ["value", "path", "time", "weight"] as const) checkText(`fields.${one}`, fields[one]);
  checkRecord("fields.keys", fields.keys);
  checkRecord("fields.childWeights", fields.childWeights);
  if (fields.path !== undefined && fields.keys !== undefined)
    throw badOption("fields.path", fields.path, "no fields.keys beside it: the path holds all keys");
}

/** The limit on a line's bytes. */
export function lineBytesMaxOf(options: SourceOptions): number {
  return options.lineBytesMax ?? LINE_BYTES_MAX;
}

/** @throws FourfoldError ERR_FOURFOLD_ARGUMENT if the fields name keys or levels that the stream does not have, or leave one out */
export function bindFields(what: string, options: SourceOptions, context: ReadContext): BoundFields {
  const { fields = {} } = options;
  const unknown = Object.keys(fields.keys ?? {}).find((key) => !context.keys.includes(key));
  if (unknown !== undefined) throw badOption("fields.keys", unknown, `keys of the stream: ${context.keys.map(show).join(", ") || "none"}`);
  const childWeights = context.childWeights.map((level) => {
    const field = fields.childWeights?.[level];
    if (field === undefined)
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${what}: level ${show(level)} takes its weights from the records, but no field`, {
        expected: "a field for each level whose weights come with the records",
        fix: `Name it: fields: { childWeights: { ${show(level)}: "…" } }`,
        at: { level },
      });
    return { level, field };
  });
  return {
    value: fields.value ?? "value",
    keys: fields.path === undefined ? context.keys.map((key) => fields.keys?.[key] ?? key) : [],
    path: fields.path,
    depth: context.keys.length,
    time: context.timed ? (fields.time ?? "time") : undefined,
    timeUnit: options.timeUnit ?? "ms",
    weight: context.weighted ? (fields.weight ?? "weight") : undefined,
    childWeights,
    frameValues: context.frameValues,
    nullKeys: context.nullKeys,
  };
}
