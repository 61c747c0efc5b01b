/** The sources of a spec: one SELECT, or files with how they are read; what is kept of them; and the columns that a hierarchy adds. */
import { show } from "../errors.ts";
import type { Int64Policy } from "./items.ts";
import { type JsonDocument, type JsonObject, type JsonValue, pointerStep } from "./json.ts";
import type { SourceColumn } from "./source-column.ts";
import { booleanAt, choiceAt, objectAt, oneOf, required, specError, textAt } from "./spec-checks.ts";
import { type CsvOptions, csvAt } from "./spec-csv.ts";

/** How a file is read. */
export type FileFormat = "parquet" | "csv" | "tsv" | "json" | "ndjson";

/** What a path or a line of ancestors does that has fewer parts than names. */
export type ShortPolicy = "error" | "repeat" | "null";

/** Columns made from a column of paths. */
export interface SpecPath {
  readonly column: string;
  readonly separator: string;
  /** Outermost first. */
  readonly names: readonly string[];
  readonly short: ShortPolicy;
}

/** Columns made from a table that names each child's parent. */
export interface SpecParents {
  /** The column of the records that is looked up. */
  readonly key: string;
  readonly table: SpecSource;
  readonly child: string;
  readonly parent: string;
  /** Outermost first. */
  readonly names: readonly string[];
  readonly short: ShortPolicy;
}

/** A column that an expression of a level makes. */
export interface SpecComputed {
  readonly name: string;
  readonly expression: string;
  /** Its place in the spec. */
  readonly pointer: string;
}

/** What is kept of a source, and the columns that are added to it, in this order. */
interface SpecParts {
  /** A condition of SQL over its columns. */
  readonly where?: string;
  readonly path?: SpecPath;
  readonly parents?: SpecParents;
  readonly computed?: readonly SpecComputed[];
  /** The spec's own policy. */
  readonly int64: Int64Policy;
}

/** Files and globs, and how they are read. */
export interface SpecFiles {
  readonly file: string | readonly string[];
  readonly format: FileFormat;
  readonly csv?: CsvOptions;
  /** Whether key=value folders of its paths are columns; undefined: if all paths have the same. */
  readonly hivePartitions?: boolean;
  /** @internal No spec can say so. */
  readonly part?: FilePart;
}

/** One file that a source names, by its absolute path, or rows of it: what a piece of a job reads. */
export interface FilePart {
  readonly path: string;
  /** The column that names each record's file while the part is read: "filename", unless the table has one of its own. */
  readonly column: string;
  /** From the first row to the one behind the last, of a Parquet file. */
  readonly rows?: readonly [from: number, to: number];
  /** Of CSV: the columns that all files together have. */
  readonly columns?: readonly SourceColumn[];
}

/** Where a table comes from: one SELECT, or files and globs; paths are relative to the spec. */
export type SpecSource = ({ readonly sql: string } | SpecFiles) & SpecParts;

const FORMATS: readonly FileFormat[] = ["parquet", "csv", "tsv", "json", "ndjson"];
const SHORTS = ["error", "repeat", "null"] as const;
const FILE_KEYS = ["file", "format", "csv", "hivePartitions"];
/** A limit on everything: more files are a glob. */
const FILES_MAX = 10_000;
/** Levels of a hierarchy, as many as levels of a spec. */
const NAMES_MAX = 64;
/** No path needs a longer one. */
const SEPARATOR_MAX = 16;

const FORMAT_OF_ENDING: Readonly<Record<string, FileFormat>> = {
  parquet: "parquet",
  csv: "csv",
  tsv: "tsv",
  json: "json",
  ndjson: "ndjson",
  jsonl: "ndjson",
};
const OTHER_PACKINGS = ["bz2", "xz", "lz4", "br", "zip", "7z", "sz", "lzo"];

/** How a source is read, beside what it says itself. */
export interface SourceRules {
  readonly int64: Int64Policy;
  /** False for a table of parents, which has no hierarchy of its own. */
  readonly hierarchy: boolean;
}

/** Checks a source. @throws FourfoldError ERR_FOURFOLD_SPEC */
export function sourceAt(document: JsonDocument, value: JsonValue, pointer: string, what: string, rules: SourceRules): SpecSource {
  const known = ["sql", ...FILE_KEYS, "where", ...(rules.hierarchy ? ["path", "parents"] : [])];
  const object = objectAt(document, value, pointer, known, what);
  const text = (key: string): string => textAt(document, object[key] as JsonValue, `${pointer}/${key}`, `${what}, "${key}"`);
  const path = object["path"] === undefined ? undefined : pathAt(document, object["path"], `${pointer}/path`, `${what}, "path"`);
  const parents =
    object["parents"] === undefined ? undefined : parentsAt(document, object["parents"], `${pointer}/parents`, `${what}, "parents"`, rules);
  const kept = {
    int64: rules.int64,
    ...(object["where"] === undefined ? {} : { where: text("where") }),
    ...(path === undefined ? {} : { path }),
    ...(parents === undefined ? {} : { parents }),
  };
  path?.names.forEach((name, i) => {
    if (parents?.names.some((other) => other.toLowerCase() === name.toLowerCase()))
      throw specError(document, `${pointer}/path/names/${i}`, `${what}: "path" and "parents" both give a column ${show(name)}`, {
        given: name,
        fix: "Give each column its own name",
      });
  });
  if (object["sql"] !== undefined) {
    for (const key of FILE_KEYS)
      if (object[key] !== undefined)
        throw specError(document, pointer + pointerStep(key), `${what}: "${key}" cannot stand beside "sql"`, {
          fix:
            key === "file" || key === "format" ? 'Give either "sql" or "file"' : "Say it in the SQL: read_csv('x.csv', header = true), …",
          atKey: true,
        });
    return { sql: text("sql"), ...kept };
  }
  if (object["file"] === undefined) throw specError(document, pointer, `${what} needs "sql" or "file"`, { expected: ["sql", "file"] });
  const file = filesAt(document, object["file"], `${pointer}/file`, `${what}, "file"`);
  const format = formatAt(document, object, file, pointer, what);
  const csv = object["csv"] === undefined ? undefined : csvAt(document, object["csv"], `${pointer}/csv`, `${what}, "csv"`);
  if (csv !== undefined && format !== "csv" && format !== "tsv")
    throw specError(document, `${pointer}/csv`, `${what}: "csv" is for CSV and TSV, the file is ${format}`, { given: format, atKey: true });
  const hive = object["hivePartitions"];
  return {
    file,
    format,
    ...(csv === undefined ? {} : { csv }),
    ...(hive === undefined ? {} : { hivePartitions: booleanAt(document, hive, `${pointer}/hivePartitions`, `${what}, "hivePartitions"`) }),
    ...kept,
  };
}

function filesAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): string | string[] {
  if (!Array.isArray(value)) return textAt(document, value, pointer, what);
  if (value.length === 0 || value.length > FILES_MAX)
    throw specError(document, pointer, `${what}: ${value.length} files, expected 1 to ${FILES_MAX}`, {
      given: value.length,
      fix: "For more files use a glob: data/*.parquet",
    });
  return value.map((file, i) => textAt(document, file, pointer + pointerStep(i), what));
}

/** The format of all files: what the spec says, or what their endings do. */
function formatAt(document: JsonDocument, object: JsonObject, file: string | string[], pointer: string, what: string): FileFormat {
  const said =
    object["format"] === undefined ? undefined : choiceAt(document, object["format"], `${pointer}/format`, FORMATS, `${what}, "format"`);
  const files = typeof file === "string" ? [file] : file;
  const formats = files.map((one, i) => {
    const place = typeof file === "string" ? `${pointer}/file` : `${pointer}/file/${i}`;
    const [, ending = "", packing = ""] = /\.([a-z0-9]+)(?:\.([a-z0-9]+))?$/i.exec(one.toLowerCase()) ?? [];
    const packed = packing === "gz" || packing === "zst";
    const format =
      said ??
      (Object.hasOwn(FORMAT_OF_ENDING, packing && !packed ? packing : ending)
        ? FORMAT_OF_ENDING[packing && !packed ? packing : ending]
        : undefined);
    if (OTHER_PACKINGS.includes(packing || ending))
      throw specError(document, place, `${what}: ${show(one)} is packed in a way that cannot be read`, {
        given: one,
        expected: [".gz", ".zst"],
        fix: "Unpack it, or pack it with gzip or zstd",
      });
    if (format === undefined)
      throw specError(document, place, `${what}: the ending of ${show(one)} does not tell its format`, {
        given: one,
        expected: FORMATS,
        fix: `Add "format": ${oneOf(FORMATS)}`,
      });
    if (format === "parquet" && (packed || ["gz", "zst"].includes(ending)))
      throw specError(document, place, `${what}: ${show(one)}: a Parquet file is packed inside, and not as a whole`, {
        given: one,
        fix: "Unpack it: gunzip or unzstd",
      });
    return format;
  });
  formats.forEach((format, i) => {
    if (format !== formats[0])
      throw specError(document, `${pointer}/file/${i}`, `${what}: ${show(files[i])} is ${format}, and ${show(files[0])} is ${formats[0]}`, {
        given: format,
        expected: formats[0],
        fix: 'A list is of one format: join others in "sql" with union all by name',
      });
  });
  return formats[0] as FileFormat;
}

/** The columns that a hierarchy gives, outermost first. */
function namesAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > NAMES_MAX)
    throw specError(
      document,
      pointer,
      `${what}, "names": given ${show(value)}, expected a list of 1 to ${NAMES_MAX} column names, outermost first`,
      {
        given: value,
        expected: "a list of column names",
      },
    );
  const names = value.map((name, i) => textAt(document, name, pointer + pointerStep(i), `${what}, "names"`));
  names.forEach((name, i) => {
    if (names.findIndex((other) => other.toLowerCase() === name.toLowerCase()) !== i)
      throw specError(document, pointer + pointerStep(i), `${what}, "names" has ${show(name)} twice`, { given: name });
  });
  return names;
}

function pathAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): SpecPath {
  const object = objectAt(document, value, pointer, ["column", "separator", "names", "short"], what);
  const separator =
    object["separator"] === undefined ? "/" : textAt(document, object["separator"], `${pointer}/separator`, `${what}, "separator"`);
  if (separator.length > SEPARATOR_MAX)
    throw specError(document, `${pointer}/separator`, `${what}, "separator": ${separator.length} characters, at most ${SEPARATOR_MAX}`, {
      given: separator,
    });
  return {
    column: textAt(document, required(document, object, "column", pointer, what), `${pointer}/column`, `${what}, "column"`),
    separator,
    names: namesAt(document, required(document, object, "names", pointer, what), `${pointer}/names`, what),
    short: object["short"] === undefined ? "error" : choiceAt(document, object["short"], `${pointer}/short`, SHORTS, `${what}, "short"`),
  };
}

function parentsAt(document: JsonDocument, value: JsonValue, pointer: string, what: string, rules: SourceRules): SpecParents {
  const object = objectAt(document, value, pointer, ["key", "table", "child", "parent", "names", "short"], what);
  const text = (key: string): string =>
    textAt(document, required(document, object, key, pointer, what), `${pointer}/${key}`, `${what}, "${key}"`);
  const table = required(document, object, "table", pointer, what);
  return {
    key: text("key"),
    table: sourceAt(document, table, `${pointer}/table`, `${what}, "table"`, { ...rules, hierarchy: false }),
    child: text("child"),
    parent: text("parent"),
    names: namesAt(document, required(document, object, "names", pointer, what), `${pointer}/names`, what),
    short: object["short"] === undefined ? "error" : choiceAt(document, object["short"], `${pointer}/short`, SHORTS, `${what}, "short"`),
  };
}
