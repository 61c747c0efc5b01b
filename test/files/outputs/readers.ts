// Result files as other programs read them: DuckDB, Apache Arrow and Python's standard library. A row is text that tells every bit of it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import type { Key } from "../../../src/reduce/key.ts";
import type { Result } from "../../../src/result.ts";
import { outputOf, ROOT, runChild } from "../../child.ts";
import { hex } from "../../failing.ts";
import { query } from "../fixture.ts";

/** One node: its level, path, the bits of its values, its count, and the bits of its weight. */
export type Row = readonly [level: string, path: readonly string[], values: readonly string[], count: string, weight: string];

/** What a file says of itself. */
export interface Metadata {
  readonly version: number;
  readonly levels: readonly {
    name: string;
    index: number;
    reduce: string;
    ddof?: number;
    keys: string[];
    weighted: boolean;
  }[];
  readonly contract: string;
  readonly accuracy: string;
  readonly nan: string;
  readonly records: number;
  readonly mixed?: readonly string[];
}

/** A key as text: 2 and 2n are one key, "2" is another. */
function keyText(key: Key): string {
  if (typeof key !== "bigint") return typeof key === "string" ? JSON.stringify(key) : String(key);
  const near = Number(key);
  return Number.isFinite(near) && BigInt(near) === key ? String(near) : String(key);
}

const bits = (value: number | null | undefined): string => (value === null || value === undefined ? "-" : hex([value])[0]!);

/** The rows that a result's own views give. */
export function rowsOf(result: Result, text: (key: Key, column: number) => string = keyText): Row[] {
  return result.levels.flatMap(({ name }) =>
    [...result.level(name)].map(({ path, values, count, weight }): Row => [name, path.map(text), hex(values), String(count), bits(weight)]),
  );
}

/** The key that a text stands for in a column of several kinds (docs/results.md). */
function unmixed(text: string): Key {
  if (text.startsWith('"')) return JSON.parse(text) as string;
  if (text === "true" || text === "false") return text === "true";
  if (/^-?\d+$/.test(text)) return BigInt(text);
  return /^-?(\d+(\.\d+)?(e[+-]\d+)?|Infinity)$/.test(text) ? Number(text) : text;
}

/** Rows of the columns that Parquet and Arrow files have. */
function tableRows(cells: readonly (readonly unknown[])[], names: readonly string[], metadata: Metadata): Row[] {
  const keys = Math.max(...metadata.levels.map((level) => level.keys.length));
  return cells.map((row): Row => {
    const level = metadata.levels.find(({ name }) => name === row[0])!;
    const path = row.slice(1, 1 + keys).map((cell, i) => {
      const isMixed = metadata.mixed?.includes(names[1 + i]!) === true;
      return keyText(isMixed && typeof cell === "string" ? unmixed(cell) : (cell as Key));
    });
    if (path.slice(level.keys.length).some((key) => key !== "null")) throw new Error(`${level.name} has keys of inner levels: ${path}`);
    const values = row.slice(1 + keys, -2).filter((value) => value !== null) as number[];
    return [level.name, path.slice(0, level.keys.length), hex(values), String(row.at(-2)), bits(row.at(-1) as number | null)];
  });
}

/** What a reader found. */
export interface Read {
  readonly rows: Row[];
  readonly metadata: Metadata;
  /** Names and types of the columns. */
  readonly columns: readonly string[];
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** A Parquet file by DuckDB. */
export async function readParquet(path: string): Promise<Read> {
  const pairs = await query(`select decode(key), decode(value) from parquet_kv_metadata(${quoted(path)})`);
  const metadata = JSON.parse(pairs.find(([key]) => key === "fourfold")![1] as string) as Metadata;
  const schema = await query(`select name, type, converted_type from parquet_schema(${quoted(path)}) offset 1`);
  const cells = await query(`select * from read_parquet(${quoted(path)})`);
  const columns = schema.map(([name, ...type]) => `${name} ${type.filter((part) => part !== null).join(" ")}`);
  return {
    rows: tableRows(
      cells,
      schema.map(([name]) => name as string),
      metadata,
    ),
    metadata,
    columns,
  };
}

/** An Arrow file by Apache Arrow. */
export function readArrow(path: string): Read {
  const table = tableFromIPC(readFileSync(path));
  const metadata = JSON.parse(table.schema.metadata.get("fourfold")!) as Metadata;
  const names = table.schema.fields.map(({ name }) => name);
  const columns = names.map((_, i) => table.getChildAt(i)!);
  const cells = Array.from({ length: table.numRows }, (_, row) => columns.map((column) => column.get(row) as unknown));
  return { rows: tableRows(cells, names, metadata), metadata, columns: table.schema.fields.map(String) };
}

/** A key as JSON has it: bigints and infinities as strings. */
export const jsonKeyText = (key: Key): string =>
  typeof key === "bigint" || (typeof key === "number" && !Number.isFinite(key)) ? JSON.stringify(String(key)) : keyText(key);

const NODE = `"value" VARCHAR, "values" VARCHAR[], bits JSON, count BIGINT, weight VARCHAR`;
const VALUES = `coalesce("values"::DOUBLE[], ["value"::DOUBLE]), bits, count, weight::DOUBLE`;

/** Rows of level, path as JSON, values, bits as JSON, count, weight. */
function jsonRows(rows: readonly (readonly unknown[])[]): Row[] {
  return rows.map(([level, path, values, told, count, weight]): Row => {
    const all = hex(values as number[]);
    if (String(all) !== String(JSON.parse(told as string))) throw new Error(`value and bits differ: ${all}, ${told}`);
    const keys = Object.values(JSON.parse(path as string) as Key[] | Record<string, Key>);
    return [level as string, keys.map(keyText), all, String(count), bits(weight as number | null)];
  });
}

/** An NDJSON file by DuckDB. */
export async function readNdjson(path: string): Promise<Row[]> {
  const columns = `{ level: 'VARCHAR', keys: 'JSON', ${NODE.replaceAll(/(\w+|"\w+") (\w+(?:\[\])?)/g, "$1: '$2'")} }`;
  return jsonRows(await query(`select level, keys, ${VALUES} from read_ndjson(${quoted(path)}, columns = ${columns})`));
}

/** A JSON file by DuckDB. */
export async function readJson(path: string): Promise<{ rows: Row[]; metadata: Metadata }> {
  const columns = `{ fourfold: 'JSON', levels: 'STRUCT("name" VARCHAR, nodes STRUCT(path JSON, ${NODE})[])[]' }`;
  const file = `read_json(${quoted(path)}, columns = ${columns}, maximum_object_size = 268435456)`;
  const nodes = `select l.name as level, unnest(l.nodes, recursive := true) from (select unnest(levels) as l from ${file})`;
  const [[metadata]] = (await query(`select fourfold from ${file}`)) as [[string]];
  return {
    rows: jsonRows(await query(`select level, path, ${VALUES} from (${nodes})`)),
    metadata: JSON.parse(metadata) as Metadata,
  };
}

/** An NPY file as Python reads it. */
export interface Npy {
  readonly shape: readonly number[];
  readonly bits: readonly string[];
}

/** Files of NPY, NPZ and CSV by Python: an array, arrays by member, or rows of cells. */
export async function readByPython<T extends readonly (Npy | Record<string, Npy> | string[][])[]>(...paths: string[]): Promise<T> {
  return JSON.parse(await outputOf(runChild("python3", [join(ROOT, "test/files/outputs/readers.py"), ...paths]))) as T;
}

/** Takes away the apostrophe that keeps a spreadsheet from running a cell. */
const plain = (cell: string): string => (/^'+[=+\-@\t\r]/.test(cell) ? cell.slice(1) : cell);

/** Rows of a CSV file; its keys are text, or numbers and booleans as they are written. */
export function csvRows([header, ...lines]: readonly (readonly string[])[], result: Result): Row[] {
  const { levels } = result;
  const keys = levels[0]!.keys.length;
  const hasWeights = header!.at(-1) === "weight";
  const end = hasWeights ? -2 : -1;
  return lines.map((line): Row => {
    const level = levels.find(({ name }) => name === plain(line[0]!))!;
    const values = line.slice(1 + keys, end).filter((cell) => cell !== "");
    const weight = hasWeights && line.at(-1) !== "" ? Number(line.at(-1)) : undefined;
    return [level.name, line.slice(1, 1 + level.keys.length).map(plain), hex(values.map(Number)), line.at(end)!, bits(weight)];
  });
}
