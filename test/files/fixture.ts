// Files of real formats, made by DuckDB itself, and specs over them, in a folder of their own.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { expect } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { type GroupedTable, type LoadOptions, loadSpec, type ReadOptions } from "../../src/files/index.ts";

/** Rows of a query in an open database: the independent reading that tests compare with. */
export async function query(sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    const reader = await connection.runAndReadAll(sql);
    return reader.getRowsJS() as unknown[][];
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** A temporary folder for one test file. */
export class Folder {
  readonly path: string = realpathSync(mkdtempSync(join(tmpdir(), "fourfold-files-")));

  file(name: string, content: string | Uint8Array): string {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  has(name: string): boolean {
    return existsSync(join(this.path, name));
  }

  bytes(name: string): Buffer {
    return readFileSync(join(this.path, name));
  }

  text(name: string): string {
    return this.bytes(name).toString("utf8");
  }

  spec(name: string, spec: unknown): string {
    return this.file(name, typeof spec === "string" ? spec : JSON.stringify(spec));
  }

  async read(spec: unknown, options: LoadOptions & ReadOptions = {}): Promise<GroupedTable> {
    return (await loadSpec(this.spec("spec.json", spec), options)).read(options);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The FourfoldError that `work` rejects with; anything else fails the test. */
export async function failure(work: Promise<unknown>): Promise<FourfoldError> {
  const error = await work.then(
    (value) =>
      new Error(`expected an error, got ${JSON.stringify(value, (_, v) => (typeof v === "bigint" ? String(v) : v))?.slice(0, 200)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof FourfoldError)) throw error;
  expect(error.message).not.toMatch(/\n/);
  return error;
}

/** A grouped table as nested plain values: each node is its key and its children, records sorted. */
export function nested(table: GroupedTable): unknown[] {
  let children: unknown[] = Array.from(table.values as Float64Array);
  table.levels.forEach((level, i) => {
    const nodes: unknown[] = [];
    for (let node = 0; node < level.nodes; node++) {
      const own = children.slice(level.offsets[node], level.offsets[node + 1]);
      if (i === 0) (own as number[]).sort((a, b) => a - b);
      nodes.push([level.keys.map((column) => column[node]), own]);
    }
    children = nodes;
  });
  return children;
}
