/**
 * What a result at rest says of itself: the JSON under the key `fourfold` in a Parquet file's key-value metadata, in an Arrow schema's, or in a JSON
 * document. docs/inspect.md describes it for readers. It is a stranger's text: everything is checked, and nothing else is taken from it.
 */
import { FourfoldError, show } from "../errors.ts";
import type { NanPolicy } from "../types.ts";

/** The key that the metadata stand under. */
export const METADATA_KEY = "fourfold";

/** The version of the metadata that this package reads. */
const VERSION = 1;

/** Levels of a chain and key columns of a level: far more than any hierarchy has, and recursion ends. */
const LEVELS_MAX = 64;
const KEYS_MAX = 256;

/** A level of a result at rest. */
export interface MetadataLevel {
  readonly name: string;
  /** Its place in the chain; 0 is the innermost. */
  readonly index: number;
  /** The name of its reduction: a built-in's or the user's. */
  readonly reduce: string;
  /** Delta degrees of freedom, for `variance`. */
  readonly ddof?: number;
  /** Names of its keys, outermost first. */
  readonly keys: readonly string[];
  /** Whether its reduction weighs its children. */
  readonly weighted: boolean;
}

/** The metadata. */
export interface ResultMetadata {
  /** Innermost first. */
  readonly levels: readonly MetadataLevel[];
  /** The version of the numeric contract. */
  readonly contract: string;
  readonly accuracy: string;
  readonly nan: NanPolicy;
  /** Records that were reduced. */
  readonly records: number;
  /** Key columns of Parquet files that hold several kinds of keys as text. */
  readonly mixed: readonly string[];
}

/** Checks the metadata of `file`. @throws FourfoldError ERR_FOURFOLD_FORMAT */
export function readMetadata(value: unknown, file: string): ResultMetadata {
  const fail = (what: string, given: unknown): never => {
    throw notResult(file, `its metadata are not as they should be: ${what}, given ${show(given)}`, given);
  };
  const fields = fieldsOf(value) ?? fail("an object", value);
  const { version, levels, contract, accuracy, nan, records, mixed = [] } = fields;
  if (version !== VERSION) {
    if (Number.isSafeInteger(version) && (version as number) > VERSION)
      throw notResult(
        file,
        `its metadata are of version ${show(version)}, and this package reads ${VERSION}`,
        version,
        "Use a newer fourfold",
      );
    fail(`"version" is ${VERSION}`, version);
  }
  if (!Array.isArray(levels) || levels.length === 0 || levels.length > LEVELS_MAX) fail(`"levels" is a list of 1 to ${LEVELS_MAX}`, levels);
  const read = (levels as unknown[]).map((level, i) => readLevel(level, i, (what, given) => fail(`"levels" ${i}: ${what}`, given)));
  for (const [i, { name, index, keys }] of read.entries()) {
    if (read.findIndex((other) => other.name === name) !== i) fail("each level has a name of its own", name);
    if (i > 0 && index <= read[i - 1]!.index) fail('"index" rises', index);
    const inner = read[i - 1]?.keys;
    if (inner !== undefined && !keys.every((key, column) => key === inner[column]))
      fail(`the keys of level ${show(name)} are the first ones of the level inside it, ${inner.join(", ")}`, keys);
  }
  if (typeof contract !== "string") fail('"contract" is a text', contract);
  if (typeof accuracy !== "string") fail('"accuracy" is a text', accuracy);
  if (nan !== "propagate" && nan !== "skip" && nan !== "error") fail('"nan" is propagate, skip or error', nan);
  if (!isCount(records)) fail('"records" is a whole number', records);
  if (!Array.isArray(mixed) || !mixed.every((key) => typeof key === "string")) fail('"mixed" is a list of texts', mixed);
  return {
    levels: read,
    contract: contract as string,
    accuracy: accuracy as string,
    nan: nan as NanPolicy,
    records: records as number,
    mixed: mixed as string[],
  };
}

function readLevel(value: unknown, place: number, fail: (what: string, given: unknown) => never): MetadataLevel {
  // Without a place all levels of the chain are there.
  const { name, index = place, reduce, ddof, keys, weighted } = fieldsOf(value) ?? fail("a level is an object", value);
  if (typeof name !== "string" || name === "") fail('"name" is a text', name);
  if (!isCount(index)) fail('"index" is a whole number', index);
  if (typeof reduce !== "string" || reduce === "") fail('"reduce" is a text', reduce);
  if (ddof !== undefined && !isCount(ddof)) fail('"ddof" is a whole number', ddof);
  if (!Array.isArray(keys) || keys.length > KEYS_MAX || !keys.every((key) => typeof key === "string"))
    fail('"keys" is a list of texts', keys);
  if (typeof weighted !== "boolean") fail('"weighted" is true or false', weighted);
  return {
    name: name as string,
    index: index as number,
    reduce: reduce as string,
    ...(ddof === undefined ? {} : { ddof: ddof as number }),
    keys: keys as string[],
    weighted: weighted as boolean,
  };
}

/** The own properties of an object, read without its prototype; undefined for anything else. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.assign(Object.create(null), value) as Record<string, unknown>;
}

/** Whether a value is a whole number that float64 holds exactly. */
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** The error for a file that is no result. */
export function notResult(file: string, why: string, given?: unknown, fix: string = WRITE_AGAIN): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_FORMAT", `${file} is not a result that can be opened: ${why}`, { given, fix, at: { file } });
}

const WRITE_AGAIN = "Write it with: fourfold run SPEC --keep all --format json --out RESULT.json";
