// What the tests of sources share: a context, and readers read to their end.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { Key } from "../../../src/reduce/key.ts";
import type { Block, Chunk, DictionaryColumn, ReadContext, Reader, Rejected, StreamKeys } from "../../../src/stream/types.ts";

/** A context of records with a value and nothing else, but for what `changes` says. */
export function contextOf(changes: Partial<ReadContext> = {}): ReadContext {
  return {
    keys: [],
    nullKeys: false,
    frameValues: undefined,
    timed: false,
    weighted: false,
    childWeights: [],
    rowsMax: 65_536,
    signal: new AbortController().signal,
    ...changes,
  };
}

/** One record as the columns hold it. */
export interface Row {
  readonly keys: readonly (Key | undefined)[];
  readonly value: number | readonly number[];
  readonly time?: number;
  readonly weight?: number;
  readonly childWeights?: Readonly<Record<string, number>>;
}

/** A reader read to its end. */
export interface Read {
  readonly rows: readonly Row[];
  readonly rejected: readonly Rejected[];
  readonly chunks: readonly Chunk[];
}

const isDictionary = (column: StreamKeys): column is DictionaryColumn => "dictionary" in column;

/** Entry i of a key column. */
const keyAt = (column: StreamKeys, i: number): Key | undefined => (isDictionary(column) ? column.dictionary[column.codes[i]!] : column[i]);

/** The records of a block, or its frames. */
export function rowsOf(block: Block | undefined): Row[] {
  if (block === undefined) return [];
  const { rows, data, keys, times, weights, childWeights } = block;
  const size = data.length / rows;
  return Array.from({ length: rows }, (_, i) => ({
    keys: keys.map((column) => keyAt(column, i)),
    value: size === 1 ? data[i]! : [...data.subarray(i * size, (i + 1) * size)],
    ...(times === undefined ? {} : { time: times[i]! }),
    ...(weights === undefined ? {} : { weight: weights[i]! }),
    ...(childWeights === undefined
      ? {}
      : { childWeights: Object.fromEntries(Object.entries(childWeights).map(([level, column]) => [level, column[i]!])) }),
  }));
}

/** Reads to the end. */
export async function readAll(reader: Reader, changes: Partial<ReadContext> = {}, from = 0): Promise<Read> {
  const chunks: Chunk[] = [];
  for await (const chunk of reader.read(from, contextOf(changes))) chunks.push(chunk);
  return { chunks, rows: chunks.flatMap((chunk) => rowsOf(chunk.block)), rejected: chunks.flatMap((chunk) => chunk.rejected) };
}

/** A folder that is gone after the tests of the file. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "fourfold-sources-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
