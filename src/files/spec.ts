/**
 * A spec: a hierarchy over a table, as untrusted JSON. This file says what a spec may hold and checks it, with line, column
 * and JSON pointer in every message. It opens no file and runs no query; docs/spec.md is the reader's page.
 */
import { type FourfoldError, show } from "../errors.ts";
import type { NullKeys } from "../reduce/group.ts";
import type { GroupedLevel, GroupedTable } from "../reduce/grouped.ts";
import type { Dtype, NanPolicy, Progress, TypedData } from "../types.ts";
import type { Int64Policy } from "./items.ts";
import { type JsonDocument, type JsonValue, parseJson, pointerStep } from "./json.ts";
import { choiceAt, objectAt, required, specError, textAt } from "./spec-checks.ts";
import { type SpecSource, sourceAt } from "./spec-source.ts";
import { type SpecStream, streamAt } from "./spec-stream.ts";
import { computedOf, type SpecWeights, weightsAt } from "./spec-weights.ts";

export type { SpecSource } from "./spec-source.ts";
export type { SpecWeights } from "./spec-weights.ts";

/** A reduction that a spec can name. */
export type ReduceName = GroupedLevel["reduce"];

/** A level of a spec. */
export interface SpecLevel {
  readonly name: string;
  /** The key columns of the level's nodes, outermost first; every outer level's columns come first. */
  readonly by: readonly string[];
  readonly reduce: ReduceName;
  readonly ddof?: number;
  readonly weights?: SpecWeights;
}

/** A checked spec, but for its source. */
export interface SpecBody {
  readonly value: string;
  /** Innermost first. */
  readonly levels: readonly SpecLevel[];
  readonly nan: NanPolicy;
  readonly nullKeys: NullKeys;
  readonly int64: Int64Policy;
  /** How its records stream. */
  readonly stream: SpecStream;
  /** For errors that show only when the data are read: the place of a part of the spec. */
  readonly document: JsonDocument;
}

/** A checked spec with its source. */
export interface SpecContent extends SpecBody {
  readonly source: SpecSource;
}

/** How a table is read. */
export interface ReadOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** Overrides the spec's own policy. */
  readonly nan?: NanPolicy;
  /** Where the values go, if not into memory of their own: called once, with the exact length, before any value is copied. */
  readonly allocate?: (type: Dtype, length: number) => TypedData;
}

/** A roll-up that can be run: what `engine.run` takes beside a chain. */
export interface Job {
  readonly kind: "fourfold.job";
  read(options?: ReadOptions): Promise<GroupedTable>;
  /** Source, value and levels in words, for `explain`. */
  readonly describe: readonly string[];
  /** Innermost first. */
  readonly levels: readonly SpecLevel[];
  readonly nan: NanPolicy;
}

/** A limit on everything: a spec of this size is not one. */
export const SPEC_BYTES_MAX: number = 1 << 20;
/** Levels beyond any hierarchy met so far; keeps a hostile spec small. */
const LEVELS_MAX = 64;
/** Key columns of one level, for the same reason. */
const KEYS_MAX = 64;

const REDUCES: readonly ReduceName[] = ["sum", "mean", "min", "max", "count", "variance", "weightedSum", "weightedMean"];
const INT64S: readonly Int64Policy[] = ["exact", "number", "reject"];
const NANS: readonly NanPolicy[] = ["propagate", "skip", "error"];
const NULL_KEYS: readonly NullKeys[] = ["error", "skip", "group"];
const SPEC_KEYS = ["$schema", "source", "value", "levels", "nan", "nullKeys", "int64", "stream"];
const LEVEL_KEYS = ["name", "by", "reduce", "weights", "ddof"];
/** The `by` list of a level, as it is written. */
function byAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): string[] {
  if (!Array.isArray(value))
    throw specError(document, pointer, `${what}, "by": given ${show(value)}, expected a list of column names`, {
      given: value,
      expected: "a list of column names",
    });
  if (value.length > KEYS_MAX)
    throw specError(document, pointer, `${what}, "by": ${value.length} columns, at most ${KEYS_MAX}`, {
      given: value.length,
      expected: KEYS_MAX,
    });
  const by = value.map((name, i) => textAt(document, name, pointer + pointerStep(i), `${what}, "by"`));
  by.forEach((name, i) => {
    if (by.indexOf(name) !== i)
      throw specError(document, pointer + pointerStep(i), `${what}, "by" names ${show(name)} twice`, { given: name });
  });
  return by;
}

function levelAt(document: JsonDocument, value: JsonValue, index: number, int64: Int64Policy): SpecLevel {
  const pointer = `/levels/${index}`;
  const innermost = index === 0;
  const unnamed = `level ${index}`;
  const object = objectAt(document, value, pointer, LEVEL_KEYS, unnamed);
  const name = textAt(document, required(document, object, "name", pointer, unnamed), `${pointer}/name`, `${unnamed}, "name"`);
  const what = `level ${show(name)}`;
  const by = byAt(document, required(document, object, "by", pointer, what), `${pointer}/by`, what);
  const reduce = choiceAt(document, required(document, object, "reduce", pointer, what), `${pointer}/reduce`, REDUCES, `${what}, "reduce"`);
  const weighted = reduce === "weightedSum" || reduce === "weightedMean";
  if (weighted && object["weights"] === undefined)
    throw specError(document, pointer, `${what}: "${reduce}" needs "weights"`, { expected: "weights", level: name });
  if (!weighted && object["weights"] !== undefined)
    throw specError(document, `${pointer}/weights`, `${what}: "${reduce}" takes no weights`, {
      given: object["weights"],
      level: name,
      atKey: true,
      fix: `Use "weightedSum" or "weightedMean", or leave "weights" out`,
    });
  const ddof = object["ddof"];
  if (ddof !== undefined && reduce !== "variance")
    throw specError(document, `${pointer}/ddof`, `${what}: only "variance" takes "ddof"`, { given: ddof, level: name, atKey: true });
  if (ddof !== undefined && (typeof ddof !== "number" || !Number.isSafeInteger(ddof) || ddof < 0))
    throw specError(document, `${pointer}/ddof`, `${what}, "ddof": given ${show(ddof)}, expected a whole number from 0`, {
      given: ddof,
      level: name,
    });
  return {
    name,
    by,
    reduce,
    ...(typeof ddof === "number" ? { ddof } : {}),
    ...(object["weights"] === undefined
      ? {}
      : { weights: weightsAt(document, object["weights"], `${pointer}/weights`, `${what}, "weights"`, innermost, int64) }),
  };
}

/** Levels whose keys nest: each level's columns are among those of the level inside it; then each begins with its outer level's. */
function nest(document: JsonDocument, levels: readonly SpecLevel[]): SpecLevel[] {
  for (let i = 1; i < levels.length; i++) {
    const inner = levels[i - 1] as SpecLevel;
    const outer = levels[i] as SpecLevel;
    const extra = outer.by.filter((name) => !inner.by.includes(name));
    if (extra.length > 0)
      throw specError(
        document,
        `/levels/${i}/by`,
        `level ${show(outer.name)}: "by" has ${extra.map((name) => show(name)).join(", ")}, which level ${show(inner.name)} inside it has not; given ${JSON.stringify(outer.by)}, expected some of ${JSON.stringify(inner.by)}`,
        {
          given: outer.by,
          expected: inner.by,
          level: outer.name,
          fix: "List the levels innermost first; each has some of the columns of the one before",
        },
      );
  }
  const nested: SpecLevel[] = [];
  let path: readonly string[] = [];
  for (const level of levels.toReversed()) {
    const before = path;
    path = [...before, ...level.by.filter((name) => !before.includes(name))];
    nested.unshift({ ...level, by: path });
  }
  return nested;
}

/** Parses and checks a spec; `file` is how messages call it. */
export function parseSpec(text: string, file?: string): SpecContent {
  return readSpec(text, file, true) as SpecContent;
}

/** Parses and checks a spec whose records may come from elsewhere. */
export function parseStreamSpec(text: string, file?: string): SpecBody & { readonly source: SpecSource | undefined } {
  return readSpec(text, file, false);
}

/** The error of a spec that has no source, where its records are to be read. */
export function withoutSource(document: JsonDocument): FourfoldError {
  return specError(document, "", 'the spec needs the key "source"', {
    expected: "source",
    fix: 'Add "source", or stream records to it: fourfold stream SPEC < records.ndjson',
  });
}

function readSpec(text: string, file: string | undefined, needsSource: boolean): SpecBody & { readonly source: SpecSource | undefined } {
  const document = parseJson(text, file);
  const object = objectAt(document, document.value, "", SPEC_KEYS, "the spec");
  if (object["$schema"] !== undefined) textAt(document, object["$schema"], "/$schema", '"$schema"');
  if (object["source"] === undefined && needsSource) throw withoutSource(document);
  const int64 = object["int64"] === undefined ? "exact" : choiceAt(document, object["int64"], "/int64", INT64S, '"int64"');
  const given = object["source"];
  const source = given === undefined ? undefined : sourceAt(document, given, "/source", '"source"', { int64, hierarchy: true });
  const value = textAt(document, required(document, object, "value", "", "the spec"), "/value", '"value"');
  const list = required(document, object, "levels", "", "the spec");
  if (!Array.isArray(list) || list.length === 0 || list.length > LEVELS_MAX)
    throw specError(document, "/levels", `"levels": given ${show(list)}, expected a list of 1 to ${LEVELS_MAX} levels`, {
      given: list,
      expected: "a list of levels",
    });
  const { levels, computed } = computedOf(list.map((level, i) => levelAt(document, level, i, int64)));
  levels.forEach((level, i) => {
    if (levels.findIndex((other) => other.name === level.name) !== i)
      throw specError(document, `/levels/${i}/name`, `two levels are called ${show(level.name)}`, {
        given: level.name,
        level: level.name,
        fix: "Give each level its own name",
      });
  });
  return {
    source: source && (computed.length === 0 ? source : { ...source, computed }),
    value,
    levels: nest(document, levels),
    nan: object["nan"] === undefined ? "propagate" : choiceAt(document, object["nan"], "/nan", NANS, '"nan"'),
    nullKeys: object["nullKeys"] === undefined ? "error" : choiceAt(document, object["nullKeys"], "/nullKeys", NULL_KEYS, '"nullKeys"'),
    int64,
    stream: streamAt(document, object["stream"]),
    document,
  };
}
