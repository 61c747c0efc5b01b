/**
 * SQL that reads a file source without the rows that cannot be converted, and finds those rows again: with file, line, byte, column, reason
 * and text. CSV: DuckDB's own rejects. NDJSON: line by line, because DuckDB's reader gives rows of nulls for bad lines and tells nothing.
 * It knows nothing of levels or of what becomes of the rows.
 */
import type { RejectedRow } from "../reduce/grouped.ts";
import type { Column, Database, Watch } from "./duckdb.ts";
import type { FileFormat } from "./spec.ts";
import { identifier, quoted } from "./sql.ts";

/** Characters of a rejected row's text that are kept. */
const TEXT_LENGTH = 4096;
/** As in DuckDB's reader of JSON. */
const LINE_BYTES_MAX = 1 << 24;
/** Lines that tell the columns of an NDJSON file, as many as DuckDB looks at. */
const SAMPLE = 20_480;
/** Rejected rows handed over at a time. */
const PIECE_ROWS = 1024;

const NUMBERS = /^(?:U?(?:TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL)/;
/** Types whose values cannot be keys or numbers: they are passed on as they are. */
const NESTED = /\[|^STRUCT|^MAP|^UNION|^JSON/;

/** A source that is read without its bad rows. */
export interface Lenient {
  readonly sql: string;
  /** The rows that were left out, once the SQL has run to its end. */
  rejected(db: Database, watch: Watch): AsyncGenerator<RejectedRow[], void, void>;
}

const list = (files: readonly string[]): string => `[${files.map(quoted).join(", ")}]`;

/** `files`, read as `format`; `numbers` are the columns that must hold numbers. Formats without rows of their own are read as ever. */
export function lenient(
  db: Database,
  format: FileFormat,
  files: readonly string[],
  numbers: readonly string[],
  watch: Watch,
): Promise<Lenient> | Lenient {
  if (format === "csv") return lenientCsv(db, files, numbers, watch);
  if (format === "ndjson") return lenientNdjson(db, files, numbers, watch);
  return { sql: `from read_${format}(${list(files)})`, rejected: nothing };
}

async function* nothing(): AsyncGenerator<never, void, void> {}

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

async function lenientCsv(db: Database, files: readonly string[], numbers: readonly string[], watch: Watch): Promise<Lenient> {
  const rejects = "store_rejects = true, rejects_table = 'rejects', rejects_scan = 'reject_scans'";
  const found = await typesOf(db, `from read_csv(${list(files)}, store_rejects = true)`, watch);
  const unclear = numbers.filter((name) => !NUMBERS.test(found.get(name) ?? ""));
  const as = (types: readonly (readonly [string, string])[]): string =>
    types.length === 0 ? "" : `, types = {${types.map(([name, type]) => `${quoted(name)}: ${quoted(type)}`).join(", ")}}`;
  const asText = `from read_csv(${list(files)}, ignore_errors = true${as(unclear.map((name) => [name, "VARCHAR"]))})`;
  const types: (readonly [string, string])[] = [];
  if (unclear.length > 0) {
    const there = await typesOf(db, asText, watch);
    for (const name of unclear) {
      const type = there.has(name) ? await numberType(db, identifier(name), `(${asText})`, watch) : undefined;
      if (type !== undefined) types.push([name, type]);
    }
  }
  return {
    sql: `from read_csv(${list(files)}, ${rejects}${as(types)})`,
    rejected: async function* (again, watched) {
      for await (const rows of rejectsOf(again, watched))
        yield rows.map(({ file, line, byte, column, message, text }) => row(file, line, { byte, column, message, text }));
    },
  };
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

async function lenientNdjson(db: Database, files: readonly string[], numbers: readonly string[], watch: Watch): Promise<Lenient> {
  const linesOf = (some: readonly string[], more = ""): string =>
    `read_csv(${list(some)}, columns = {'line': 'VARCHAR'}, delim = '', quote = '', escape = '', comment = '', header = false, auto_detect = false, max_line_size = ${LINE_BYTES_MAX}, buffer_size = ${2 * LINE_BYTES_MAX}${more})`;
  // Filters are tried in any order, and what is no JSON would break the others.
  const whole = "case when json_valid(line) then case when json_type(line) = 'OBJECT' then line end end";
  const isObject = "case when json_valid(line) then json_type(line) = 'OBJECT' else false end";
  const objects = `(select line from ${linesOf(files, ", ignore_errors = true")} where ${isObject})`;
  let types = await typesOf(db, `from read_ndjson(${list(files)}, ignore_errors = true)`, watch);
  if (types.size === 1 && types.has("json")) types = await structure(db, `(from ${objects} limit ${SAMPLE})`, watch); // it met something that is no object
  for (const name of numbers) {
    if (NUMBERS.test(types.get(name) ?? "") || !types.has(name)) continue;
    const text = `json_transform(${whole}, ${structureOf([[name, "VARCHAR"]])}).${identifier(name)}`;
    const type = await numberType(db, text, objects, watch);
    if (type !== undefined) types.set(name, type);
  }
  const columns = [...types].map(([name, type]) => [name, NESTED.test(type) ? "JSON" : type] as const);
  const bad = columns
    .filter(([, type]) => type !== "JSON")
    .map(([name, type]) => ({ name, type, test: `(r.${identifier(name)}::VARCHAR <> 'null' and t.${identifier(name)} is null)` }));
  const both = `json_transform(${whole}, ${structureOf(columns)}) as t, json_transform(${whole}, ${structureOf(columns.map(([name]) => [name, "JSON"]))}) as r`;
  const isBad = bad.length === 0 ? "false" : bad.map(({ test }) => `coalesce(${test}, false)`).join(" or ");
  const rejects = ", store_rejects = true, rejects_table = 'rejects', rejects_scan = 'reject_scans'";
  const chosen = columns.map(([name]) => `t.${identifier(name)} as ${identifier(name)}`).join(", ");
  return {
    sql: `select ${chosen} from (select ${both} from ${linesOf(files, rejects)} where ${isObject}) where not (${isBad})`,
    rejected: async function* (again, watched) {
      // Lines that are no text were rejected before they were counted.
      const unread = new Map<string, Reject[]>();
      for await (const rejected of rejectsOf(again, watched))
        for (const one of rejected) {
          const lines = unread.get(one.file) ?? [];
          lines.push(one);
          unread.set(one.file, lines);
        }
      const reason = bad.map(({ name, type, test }) => `when coalesce(${test}, false) then ${quoted(`${type} ${name}`)}`).join(" ");
      for (const file of files) {
        const lines = unread.get(file) ?? [];
        const told = bad.length === 0 ? "'' as reason" : `case when not (${isObject}) then '' ${reason} end as reason`;
        const numbered = `(select row_number() over () as n, line from ${linesOf([file], ", ignore_errors = true")})`;
        const sql = `select n, left(line, ${TEXT_LENGTH}), reason from (select n, line, ${told} from (select n, line, ${both} from ${numbered} where trim(line) <> '')) where reason is not null order by n`;
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

/** The columns of NDJSON lines and their types, where DuckDB's reader gives none. */
async function structure(db: Database, lines: string, watch: Watch): Promise<Map<string, string>> {
  const types = new Map<string, string>();
  for await (const chunk of db.chunks(`select json_group_structure(line::JSON)::VARCHAR from ${lines}`, watch)) {
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

/** The rows of `opened` that `test` is true of. */
export function withoutRows(sql: string, test: string): string {
  return `select * from query(${quoted(sql)}) as source where not coalesce(${test}, false)`;
}

/** The numbers and cells of the rows that {@link withoutRows} leaves out. */
export async function* rowsWhere(
  db: Database,
  sql: string,
  column: Column["name"],
  test: string,
  make: (row: number, text: string) => RejectedRow,
  watch: Watch,
): AsyncGenerator<RejectedRow[], void, void> {
  const reference = `source.${identifier(column)}`;
  const query = `select n, text from (select row_number() over () - 1 as n, ${reference}::VARCHAR as text, coalesce(${test}, false) as hit from query(${quoted(sql)}) as source) where hit`;
  for await (const chunk of db.chunks(query, watch)) {
    const [numbers, texts] = [chunk.cells(0), chunk.cells(1)];
    yield Array.from({ length: chunk.rows }, (_, i) => make(Number(numbers[i]), String(texts[i])));
  }
}
