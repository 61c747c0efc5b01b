/** The sources of a spec: one SELECT, or files with how they are read; what is kept of them; and the columns that a hierarchy adds. */
import { show } from "../errors.ts";
import { type JsonDocument, type JsonObject, type JsonValue, pointerStep } from "./json.ts";
import { booleanAt, choiceAt, objectAt, oneOf, required, specError, textAt } from "./spec-checks.ts";

/** How a file is read. */
export type FileFormat = "parquet" | "csv" | "tsv" | "json" | "ndjson";

/** What an integer of 64 bits or more does: it must be exact as float64, it is rounded to the nearest, or its column is refused. */
export type Int64Policy = "exact" | "number" | "reject";

/** How CSV is read where it does not tell by itself. */
export interface CsvOptions {
  /** 1 to 4 bytes. */
  readonly delimiter?: string;
  /** One character, or none at all. */
  readonly quote?: string;
  readonly escape?: string;
  readonly header?: boolean;
  /** Texts that are null. */
  readonly nullText?: readonly string[];
  /** Types by column; without a header all columns, in order. */
  readonly columns?: Readonly<Record<string, string>>;
}

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
}

/** Where a table comes from: one SELECT, or files and globs; paths are relative to the spec. */
export type SpecSource = ({ readonly sql: string } | SpecFiles) & SpecParts;

const FORMATS: readonly FileFormat[] = ["parquet", "csv", "tsv", "json", "ndjson"];
const SHORTS = ["error", "repeat", "null"] as const;
const FILE_KEYS = ["file", "format", "csv", "hivePartitions"];
const CSV_KEYS = ["delimiter", "quote", "escape", "header", "nullText", "columns"];
/** Types that a column of text can be read as: those that are values or keys. */
const CSV_TYPES = [
  ..."BOOLEAN TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT FLOAT DOUBLE VARCHAR".split(" "),
  ..."DATE TIME TIMESTAMP TIMESTAMPTZ UUID".split(" "),
];
/** A limit on everything: more files are a glob, more columns another tool's work. */
const FILES_MAX = 10_000;
const COLUMNS_MAX = 10_000;
/** Levels of a hierarchy, as many as levels of a spec. */
const NAMES_MAX = 64;
/** What DuckDB takes as a delimiter; no path needs a longer separator either. */
const DELIMITER_BYTES_MAX = 4;
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

function csvAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): CsvOptions {
  const object = objectAt(document, value, pointer, CSV_KEYS, what);
  const mark = (key: "quote" | "escape"): Partial<CsvOptions> => {
    const given = object[key];
    if (given === undefined) return {};
    // One byte, or none at all.
    if (typeof given !== "string" || !/^[\t -~]?$/.test(given))
      throw specError(
        document,
        `${pointer}/${key}`,
        `${what}, "${key}": given ${show(given)}, expected one ASCII character, or "" for none`,
        {
          given,
          expected: "one character",
        },
      );
    return { [key]: given };
  };
  const header = object["header"];
  return {
    ...(object["delimiter"] === undefined ? {} : { delimiter: delimiterAt(document, object["delimiter"], `${pointer}/delimiter`, what) }),
    ...mark("quote"),
    ...mark("escape"),
    ...(header === undefined ? {} : { header: booleanAt(document, header, `${pointer}/header`, `${what}, "header"`) }),
    ...(object["nullText"] === undefined ? {} : { nullText: nullTextAt(document, object["nullText"], `${pointer}/nullText`, what) }),
    ...(object["columns"] === undefined ? {} : { columns: columnsAt(document, object["columns"], `${pointer}/columns`, what) }),
  };
}

function delimiterAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): string {
  const text = textAt(document, value, pointer, `${what}, "delimiter"`);
  if (Buffer.byteLength(text) > DELIMITER_BYTES_MAX || /[\r\n"]/.test(text))
    throw specError(
      document,
      pointer,
      `${what}, "delimiter": given ${show(text)}, expected 1 to ${DELIMITER_BYTES_MAX} bytes that end no line`,
      {
        given: text,
        expected: "a delimiter",
      },
    );
  return text;
}

function nullTextAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): readonly string[] {
  const list = Array.isArray(value) ? value : [value];
  return list.map((text, i) => {
    if (typeof text === "string" && !text.includes("\0")) return text;
    throw specError(
      document,
      Array.isArray(value) ? pointer + pointerStep(i) : pointer,
      `${what}, "nullText": given ${show(text)}, expected a text, or a list of texts`,
      {
        given: text,
        expected: "a text",
      },
    );
  });
}

function columnsAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null || Array.isArray(value) || Object.keys(value).length === 0)
    throw specError(document, pointer, `${what}, "columns": given ${show(value)}, expected names with types`, {
      given: value,
      fix: '"columns": { "id": "BIGINT", "price": "DECIMAL(18,2)" }',
    });
  const names = Object.keys(value);
  if (names.length > COLUMNS_MAX)
    throw specError(document, pointer, `${what}, "columns": ${names.length} columns, at most ${COLUMNS_MAX}`, { given: names.length });
  for (const name of names) {
    const place = pointer + pointerStep(name);
    const type = value[name];
    if (name === "" || name.includes("\0"))
      throw specError(document, place, `${what}, "columns": a column needs a name`, { given: name, atKey: true });
    if (typeof type === "string" && (CSV_TYPES.includes(type) || isDecimal(type))) continue;
    throw specError(document, place, `${what}, "columns": the type of ${show(name)} is ${show(type)}, which is none of a column of text`, {
      given: type,
      expected: [...CSV_TYPES, "DECIMAL(p,s)"],
      fix: `Types are ${CSV_TYPES.join(", ")} and DECIMAL(p,s)`,
    });
  }
  return value as Readonly<Record<string, string>>;
}

function isDecimal(type: string): boolean {
  const [, digits, scale] = /^DECIMAL\((\d{1,2}), ?(\d{1,2})\)$/.exec(type) ?? [];
  return digits !== undefined && Number(digits) >= 1 && Number(digits) <= 38 && Number(scale) <= Number(digits);
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
