/**
 * SQL that reads a file source without the rows that cannot be converted, and finds those rows again: with file, line, byte, column, reason
 * and text. CSV: DuckDB's own rejects. NDJSON: line by line, because DuckDB's reader gives rows of nulls for bad lines and tells nothing.
 * It knows nothing of levels or of what becomes of the rows.
 */
import type { RejectedRow } from "../reduce/grouped.ts";
import type { Database, Watch } from "./duckdb.ts";
import { literally } from "./folders.ts";
import { globFiles } from "./globs.ts";
import type { SourceColumn } from "./source-column.ts";
import type { CsvOptions } from "./spec-csv.ts";
import type { FileFormat } from "./spec-source.ts";
import { identifier, quoted, struct } from "./sql.ts";
import { integersOf } from "./text-integers.ts";

/** Characters of a rejected row's text that are kept. */
const TEXT_LENGTH = 4096;
/** As in DuckDB's reader of JSON. */
const LINE_BYTES_MAX = 1 << 24;
/** Lines that tell the columns of an NDJSON file, as many as DuckDB looks at. */
const SAMPLE = 20_480;
/** Rejected rows handed over at a time. */
const PIECE_ROWS = 1024;

/** A line, by a name that no partition column has. */
const LINE = identifier("text of the line");
const LINE_OPTIONS = `columns = {'text of the line': 'VARCHAR'}, delim = '', quote = '', escape = '', comment = '', header = false, auto_detect = false, max_line_size = ${LINE_BYTES_MAX}, buffer_size = ${2 * LINE_BYTES_MAX}`;
// Filters are tried in any order, and what is no JSON would break the others.
const WHOLE = `case when json_valid(${LINE}) then case when json_type(${LINE}) = 'OBJECT' then ${LINE} end end`;
const IS_OBJECT = `case when json_valid(${LINE}) then json_type(${LINE}) = 'OBJECT' else false end`;

const NUMBERS = /^(?:U?(?:TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL)/;
/** Types whose values cannot be keys or numbers: they are passed on as they are. */
const NESTED = /\[|^STRUCT|^MAP|^UNION|^JSON/;

/** The rows that were left out, once the SQL has run to its end. */
export type Rejected = (db: Database, watch: Watch) => AsyncGenerator<RejectedRow[], void, void>;

/** Files that are read without their bad rows. */
export interface Lenient {
  /** The columns of the files themselves. */
  readonly columns: readonly SourceColumn[];
  /** A table expression: those columns and partition columns `keys`, which the options `parts` of DuckDB's reader make. */
  readonly call: (parts: readonly string[], keys: readonly string[]) => string;
  readonly rejected: Rejected;
}

/** What is read. */
export interface LenientFiles {
  readonly format: FileFormat;
  readonly csv: CsvOptions | undefined;
  /** As DuckDB reads paths: patterns, if they have *, ? or [. */
  readonly files: readonly string[];
  /** Options of DuckDB's reader that the spec sets. */
  readonly options: readonly string[];
  /** Columns that must hold numbers. */
  readonly numbers: readonly string[];
}

const PLAIN = ["hive_partitioning = false"];
const REJECTS = ["store_rejects = true", "rejects_table = 'rejects'", "rejects_scan = 'reject_scans'"];

const list = (files: readonly string[]): string => `[${files.map(quoted).join(", ")}]`;

/** The reader of `files` without bad rows; undefined for formats that have no rows of their own. */
export async function lenientReader(db: Database, files: LenientFiles, watch: Watch): Promise<Lenient | undefined> {
  if (files.format === "csv" || files.format === "tsv") return lenientCsv(db, files, watch);
  if (files.format === "ndjson") return lenientNdjson(db, files, watch);
  return undefined;
}

/** The type of a column whose numbers stand among other texts: `text` is the column as text in `table`. */
async function numberType(db: Database, text: string, table: string, watch: Watch): Promise<"BIGINT" | "DOUBLE" | undefined> {
  const sql = `select count(d), count(d) filter (where not regexp_full_match(trim(t), '[+-]?[0-9]+')) from (select ${text} as t, try_cast(${text} as DOUBLE) as d from ${table})`;
  for await (const chunk of db.chunks(sql, watch)) {
    const [numbers, fractions] = [Number(chunk.cells(0)[0]), Number(chunk.cells(1)[0])];
    return numbers === 0 ? undefined : fractions === 0 ? "BIGINT" : "DOUBLE";
  }
  return undefined;
}

/** The types of the columns of a query, as DuckDB writes them. */
async function typesOf(db: Database, sql: string, watch: Watch): Promise<Map<string, string>> {
  const types = new Map<string, string>();
  for await (const chunk of db.chunks(`select column_name, column_type from (describe ${sql})`, watch)) {
    const [names, found] = [chunk.cells(0), chunk.cells(1)];
    for (let row = 0; row < chunk.rows; row++) types.set(String(names[row]), String(found[row]));
  }
  return types;
}

async function lenientCsv(db: Database, { csv, files, options, numbers }: LenientFiles, watch: Watch): Promise<Lenient> {
  const said = Object.entries(csv?.columns ?? {});
  const areSaid = csv?.header === false && said.length > 0; // all of them, among the options
  const call = (types: readonly (readonly [string, string])[], more: readonly string[]): string =>
    `read_csv(${[list(files), ...options, ...(areSaid || types.length === 0 ? [] : [`types = ${struct(types)}`]), ...more].join(", ")})`;
  const found = await typesOf(db, `from ${call(said, [...PLAIN, "store_rejects = true"])}`, watch);
  const isSaid = (name: string): boolean => said.some(([one]) => one.toLowerCase() === name.toLowerCase());
  const unclear = numbers.filter((name) => !isSaid(name) && !NUMBERS.test(found.get(name) ?? ""));
  const told: [string, string][] = [];
  if (unclear.length > 0) {
    const texts = unclear.filter((name) => found.has(name)).map((name) => [name, "VARCHAR"] as const);
    const asText = call([...said, ...texts], [...PLAIN, "ignore_errors = true"]);
    const there = await typesOf(db, `from ${asText}`, watch);
    for (const name of unclear) {
      const type = there.has(name) ? await numberType(db, identifier(name), asText, watch) : undefined;
      if (type !== undefined) told.push([name, type]);
    }
  }
  const sample = call([...said, ...told], [...PLAIN, "ignore_errors = true"]);
  const names = said.map(([name]) => name);
  const integers = areSaid ? [] : await integersOf(db, await db.columns(`from ${sample}`, watch), names, sample, watch);
  const types = [
    ...said,
    ...told.filter(([name]) => !integers.includes(name)),
    ...integers.map((name): [string, string] => [name, "DOUBLE"]),
  ];
  const columns = await db.columns(`from ${call(types, [...PLAIN, ...REJECTS])}`, watch);
  return {
    columns: columns.map((column) => (integers.includes(column.name) ? { ...column, integers: true } : column)),
    call: (parts) => call(types, [...parts, ...REJECTS]),
    rejected: async function* (again, watched) {
      for await (const rows of rejectsOf(again, watched))
        yield rows.map(({ file, line, byte, column, message, text }) => row(file, line, { byte, column, message, text }));
    },
  };
}

/** Forgets what was rejected so far, by queries that looked at other columns than those of the table. */
export async function forgetRejects(db: Database, watch: Watch): Promise<void> {
  for (const table of ["rejects", "reject_scans"]) await db.execute(`drop table if exists ${table}`, watch);
}

interface Reject {
  readonly file: string;
  readonly line: number;
  readonly byte: number;
  readonly column: string | null;
  readonly message: string;
  readonly text: string;
}

/** What DuckDB's reader of CSV has rejected, one for each line, in order. A source may have been read more than once. */
async function* rejectsOf(db: Database, watch: Watch): AsyncGenerator<Reject[], void, void> {
  const first = (column: string): string => `first(${column} order by byte_position, scan_id)`;
  const sql = `select file_path, line, min(line_byte_position), ${first("column_name")}, ${first("error_message")}, left(${first("csv_line")}, ${TEXT_LENGTH}) from rejects join (select distinct scan_id, file_id, file_path from reject_scans) using (scan_id, file_id) group by file_path, line order by file_path, line`;
  for await (const chunk of db.chunks(sql, watch)) {
    const [files, lines, bytes, columns, messages, texts] = [0, 1, 2, 3, 4, 5].map((i) => chunk.cells(i));
    yield Array.from({ length: chunk.rows }, (_, i) => ({
      file: String(files![i]),
      line: Number(lines![i]),
      byte: Number(bytes![i]),
      column: columns![i] === null ? null : String(columns![i]),
      message: String(messages![i]),
      text: String(texts![i]),
    }));
  }
}

async function lenientNdjson(db: Database, { files, numbers }: LenientFiles, watch: Watch): Promise<Lenient> {
  const linesOf = (some: readonly string[], ...more: readonly string[]): string =>
    `read_csv(${[list(some), LINE_OPTIONS, ...more].join(", ")})`;
  const skip = [...PLAIN, "ignore_errors = true"];
  const objects = `(select ${LINE} from ${linesOf(files, ...skip)} where ${IS_OBJECT})`;
  let types = await typesOf(db, `from read_ndjson(${list(files)}, hive_partitioning = false, ignore_errors = true)`, watch);
  if (types.size === 1 && types.has("json")) types = await structure(db, `(from ${objects} limit ${SAMPLE})`, watch); // it met something that is no object
  for (const name of numbers) {
    if (NUMBERS.test(types.get(name) ?? "") || !types.has(name)) continue;
    const text = `json_transform(${WHOLE}, ${structureOf([[name, "VARCHAR"]])}).${identifier(name)}`;
    const type = await numberType(db, text, objects, watch);
    if (type !== undefined) types.set(name, type);
  }
  const sample = ndjsonSql(typed(types), linesOf(files, ...skip), []);
  const integers = await integersOf(db, await db.columns(`from ${sample}`, watch), [], sample, watch);
  for (const name of integers) types.set(name, "DOUBLE");
  const columns = typed(types);
  const bad = badTests(columns);
  const call = (parts: readonly string[], keys: readonly string[]): string =>
    ndjsonSql(columns, linesOf(files, ...parts, ...REJECTS), keys);
  return {
    columns: (await db.columns(`from ${call(PLAIN, [])}`, watch)).map((column) =>
      integers.includes(column.name) ? { ...column, integers: true } : column,
    ),
    call,
    rejected: async function* (again, watched) {
      // Lines that are no text were rejected before they were counted.
      const unread = new Map<string, Reject[]>();
      for await (const rejected of rejectsOf(again, watched))
        for (const one of rejected) {
          const lines = unread.get(one.file) ?? [];
          lines.push(one);
          unread.set(one.file, lines);
        }
      const both = bothOf(columns);
      const reason = bad.map(({ name, type, test }) => `when coalesce(${test}, false) then ${quoted(`${type} ${name}`)}`).join(" ");
      for (const file of await globFiles(again, files, watched)) {
        const lines = unread.get(file) ?? [];
        const told = bad.length === 0 ? "'' as reason" : `case when not (${IS_OBJECT}) then '' ${reason} end as reason`;
        const numbered = `(select row_number() over () as n, ${LINE} from ${linesOf([literally(file)], ...skip)})`;
        const sql = `select n, left(${LINE}, ${TEXT_LENGTH}), reason from (select n, ${LINE}, ${told} from (select n, ${LINE}, ${both} from ${numbered} where trim(${LINE}) <> '')) where reason is not null order by n`;
        let before = 0;
        for await (const chunk of again.chunks(sql, watched)) {
          const [numbersOf, texts, reasons] = [0, 1, 2].map((i) => chunk.cells(i));
          yield Array.from({ length: chunk.rows }, (_, i) => {
            const n = Number(numbersOf![i]);
            while (before < lines.length && lines[before]!.line <= n + before) before++;
            const [type, ...name] = String(reasons![i]).split(" ");
            const column = name.length === 0 ? null : name.join(" ");
            const message = column === null ? "the line is no JSON object" : `column ${JSON.stringify(column)} is no ${type}`;
            return row(file, n + before, { byte: null, column, message, text: String(texts![i]) });
          });
        }
        for (let at = 0; at < lines.length; at += PIECE_ROWS)
          yield lines
            .slice(at, at + PIECE_ROWS)
            .map(({ line, byte, message, text }) => row(file, line, { byte, column: null, message, text }));
      }
    },
  };
}

type Types = readonly (readonly [string, string])[];

/** Columns with the types they are read as. */
const typed = (types: ReadonlyMap<string, string>): Types =>
  [...types].map(([name, type]) => [name, NESTED.test(type) ? "JSON" : type] as const);

/** A line as typed columns `t`, and as JSON `r`. */
const bothOf = (columns: Types): string =>
  `json_transform(${WHOLE}, ${structureOf(columns)}) as t, json_transform(${WHOLE}, ${structureOf(columns.map(([name]) => [name, "JSON"]))}) as r`;

/** For each column that can fail: a test of `t` and `r` that is true where it did. */
function badTests(columns: Types): { readonly name: string; readonly type: string; readonly test: string }[] {
  return columns
    .filter(([, type]) => type !== "JSON")
    .map(([name, type]) => ({ name, type, test: `(r.${identifier(name)}::VARCHAR <> 'null' and t.${identifier(name)} is null)` }));
}

/** The good objects among `lines` as a table expression, with partition columns `keys`. */
function ndjsonSql(columns: Types, lines: string, keys: readonly string[]): string {
  const bad = badTests(columns);
  const isBad = bad.length === 0 ? "false" : bad.map(({ test }) => `coalesce(${test}, false)`).join(" or ");
  const inner = [bothOf(columns), ...keys.map((key, i) => `${identifier(key)} as p${i}`)];
  const chosen = [
    ...columns.map(([name]) => `t.${identifier(name)} as ${identifier(name)}`),
    ...keys.map((key, i) => `p${i} as ${identifier(key)}`),
  ];
  return `(select ${chosen.join(", ")} from (select ${inner.join(", ")} from ${lines} where ${IS_OBJECT}) where not (${isBad}))`;
}

/** The columns of NDJSON lines and their types, where DuckDB's reader gives none. */
async function structure(db: Database, lines: string, watch: Watch): Promise<Map<string, string>> {
  const types = new Map<string, string>();
  for await (const chunk of db.chunks(`select json_group_structure(${LINE}::JSON)::VARCHAR from ${lines}`, watch)) {
    const found = JSON.parse(String(chunk.cells(0)[0])) as unknown;
    if (typeof found !== "object" || found === null) continue;
    for (const [name, type] of Object.entries(found))
      types.set(name, typeof type !== "string" ? "JSON" : type === "UBIGINT" ? "BIGINT" : type === "NULL" ? "VARCHAR" : type);
  }
  return types;
}

/** Columns and types as `json_transform` wants them. */
const structureOf = (columns: readonly (readonly [string, string])[]): string => quoted(JSON.stringify(Object.fromEntries(columns)));

function row(source: string, line: number, rest: Pick<RejectedRow, "byte" | "column" | "message" | "text">): RejectedRow {
  return { source, line, row: null, code: "ERR_FOURFOLD_FORMAT", ...rest };
}
