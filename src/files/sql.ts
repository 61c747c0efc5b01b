/**
 * What the SQL of an untrusted spec may say, decided on DuckDB's own syntax tree and never by matching text: one SELECT, over
 * files only, through the few table functions listed here. Paths become absolute, so that they mean the same in every folder.
 * Pure: it opens nothing. docs/security.md is the reader's page.
 */
import { FourfoldError, nearest, show } from "../errors.ts";

/** Table functions whose first argument is a file, a glob or a list of them. */
const READERS = [
  "read_parquet",
  "parquet_scan",
  "read_csv",
  "read_csv_auto",
  "read_json",
  "read_json_auto",
  "read_ndjson",
  "read_ndjson_auto",
];
/** Table functions that touch nothing outside the query. */
const GENERATORS = ["range", "generate_series", "unnest"];
/** Scalar functions with an effect, or that show the settings of the process. */
const REFUSED_FUNCTIONS = ["write_log", "nextval", "currval", "setseed", "current_setting", "current_query", "json_execute_serialized_sql"];

/** A node of the tree that `json_serialize_sql` prints. */
export interface Tree {
  readonly [key: string]: unknown;
}

/** A path that the SQL names. */
export interface SqlPath {
  readonly path: string;
  /** Byte range of its literal, quotes included. */
  readonly start: number;
  readonly end: number;
}

function forbidden(what: string, given: unknown, fix: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_FORBIDDEN", what, { given, fix });
}

const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);

/** The quoted literal that starts at byte `start`, decoded; undefined if there is none. */
function literalAt(bytes: Buffer, start: number): { text: string; end: number } | undefined {
  const quote = bytes[start];
  if (quote !== 0x27 && quote !== 0x22) return undefined;
  for (let i = start + 1; i < bytes.length; i++) {
    if (bytes[i] !== quote) continue;
    if (bytes[i + 1] === quote) {
      i++;
      continue;
    }
    const mark = String.fromCharCode(quote);
    return { text: bytes.toString("utf8", start + 1, i).replaceAll(mark + mark, mark), end: i + 1 };
  }
  return undefined;
}

/** The single statement of a serialized query, as its tree. */
export function singleSelect(serialized: string): Tree {
  const result = JSON.parse(serialized) as Tree;
  const statements = result["statements"];
  if (result["error"] === true) {
    const message = String(result["error_message"]).replace(/\s+/g, " ");
    if (result["error_type"] === "not implemented")
      throw forbidden(
        "the SQL is not a SELECT",
        message,
        "A spec may hold one SELECT and nothing else; prepare the data before, or read its files with SELECT",
      );
    throw new FourfoldError("ERR_FOURFOLD_SPEC", `the SQL is not valid: ${message}`, {
      ...(result["position"] === undefined ? {} : { at: { index: Number(result["position"]) } }),
    });
  }
  if (!Array.isArray(statements) || statements.length !== 1)
    throw forbidden(
      `the SQL holds ${Array.isArray(statements) ? statements.length : 0} statements`,
      statements,
      "A spec may hold one SELECT and nothing else",
    );
  return statements[0] as Tree;
}

/** Whether the query names a collation anywhere. */
export function hasCollation(statement: Tree): boolean {
  return JSON.stringify(statement).includes('"COLLATE"');
}

/**
 * Every path the query reads, in the order of the text.
 * @throws FourfoldError ERR_FOURFOLD_FORBIDDEN for anything a spec may not do
 */
export function sqlPaths(sql: string, statement: Tree): SqlPath[] {
  const bytes = Buffer.from(sql, "utf8");
  const bases: Tree[] = [];
  const readers: { name: string; file: Tree | undefined }[] = [];
  const withNames = new Set<string>();
  const open: unknown[] = [statement];
  while (open.length > 0) {
    const node = open.pop();
    if (Array.isArray(node)) {
      for (const child of node) open.push(child);
      continue;
    }
    if (!isTree(node)) continue;
    if (node["class"] === "CONSTANT") continue; // a constant's text is data, whatever it looks like
    if (node["class"] === "PARAMETER")
      throw new FourfoldError("ERR_FOURFOLD_SPEC", "the SQL has parameters, for which a spec has no values", {
        fix: "Write the values into the SQL",
      });
    if (node["type"] === "BASE_TABLE") bases.push(node);
    if (node["type"] === "SHOW_REF")
      throw forbidden("DESCRIBE, SHOW and SUMMARIZE are not a source of records", node["show_type"], "Use a plain SELECT");
    if (node["type"] === "TABLE_FUNCTION") {
      const call = isTree(node["function"]) ? node["function"] : {};
      const name = String(call["function_name"]).toLowerCase();
      const children = Array.isArray(call["children"]) ? (call["children"] as Tree[]) : [];
      if (READERS.includes(name)) readers.push({ name, file: children[0] });
      else if (!GENERATORS.includes(name))
        throw forbidden(
          `the SQL calls the table function ${name}, which a spec may not`,
          name,
          `Allowed are ${[...READERS, ...GENERATORS].join(", ")}, and file names in quotes`,
        );
    }
    if (node["class"] === "FUNCTION" && REFUSED_FUNCTIONS.includes(String(node["function_name"]).toLowerCase()))
      throw forbidden(
        `the SQL calls ${String(node["function_name"]).toLowerCase()}, which a spec may not`,
        node["function_name"],
        "Leave it out",
      );
    const { cte_map: map } = node as { cte_map?: { map?: { key: string }[] } };
    for (const { key } of map?.map ?? []) withNames.add(key.toLowerCase());
    for (const child of Object.values(node)) if (typeof child === "object") open.push(child);
  }

  const paths: SqlPath[] = [];
  const add = (location: unknown, path: string): void => {
    const start = typeof location === "number" ? location : -1;
    const literal = literalAt(bytes, start);
    if (literal === undefined || literal.text !== path)
      throw forbidden(
        `the SQL names the file ${show(path)} in a way that cannot be checked`,
        path,
        "Write file names as plain text in single quotes: 'data.parquet'",
      );
    paths.push({ path, start, end: literal.end });
  };
  for (const base of bases) {
    const name = String(base["table_name"]);
    const qualified = base["schema_name"] !== undefined || base["catalog_name"] !== undefined;
    if (!qualified && withNames.has(name.toLowerCase())) {
      if (/[./*]/.test(name))
        throw new FourfoldError("ERR_FOURFOLD_SPEC", `the WITH name ${show(name)} looks like a file`, {
          given: name,
          fix: "Give it a plain name",
        });
      continue;
    }
    if (qualified || !/[./*]/.test(name)) {
      const full = [base["catalog_name"], base["schema_name"], name].filter((part) => part !== undefined).join(".");
      const meant = nearest(name, [...withNames]);
      throw new FourfoldError("ERR_FOURFOLD_SOURCE", `there is no table ${show(full)}: a spec reads files`, {
        given: full,
        fix: meant === undefined ? "Write file names in quotes: from 'data.parquet'" : `Did you mean "${meant}"?`,
      });
    }
    add(base["query_location"], name);
  }
  for (const { name, file } of readers)
    for (const constant of constantsOf(file, name)) add(constant["query_location"], (constant["value"] as { value: string }).value);
  return paths.sort((a, b) => a.start - b.start);
}

/** The text constants of a reader's first argument: a text, or a list of texts. */
function constantsOf(file: Tree | undefined, reader: string): Tree[] {
  const isText = (node: Tree): boolean =>
    node["class"] === "CONSTANT" && isTree(node["value"]) && typeof node["value"]["value"] === "string";
  if (file !== undefined && isText(file)) return [file];
  const isList =
    file !== undefined &&
    (file["type"] === "ARRAY_CONSTRUCTOR" || (file["class"] === "FUNCTION" && file["function_name"] === "list_value"));
  const children = isList && Array.isArray(file["children"]) ? (file["children"] as Tree[]) : [];
  if (children.length > 0 && children.every(isText)) return children;
  throw forbidden(
    `the file of ${reader} is not a plain text`,
    undefined,
    "Write file names as plain text in single quotes, or a list of such: ['a.csv', 'b.csv']",
  );
}

/** `sql` with every path replaced by `resolve(path)`. */
export function replacePaths(sql: string, paths: readonly SqlPath[], resolve: (path: string) => string): string {
  const bytes = Buffer.from(sql, "utf8");
  let result = "";
  let from = 0;
  for (const { path, start, end } of paths) {
    const mark = String.fromCharCode(bytes[start] as number);
    result += bytes.toString("utf8", from, start) + mark + resolve(path).replaceAll(mark, mark + mark) + mark;
    from = end;
  }
  return result + bytes.toString("utf8", from);
}

/** `text` as an SQL text literal. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** `name` as an SQL identifier. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A struct of texts. */
export function struct(entries: readonly (readonly [string, string])[]): string {
  return `{${entries.map(([name, type]) => `${quoted(name)}: ${quoted(type)}`).join(", ")}}`;
}
