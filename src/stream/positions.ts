/** Where each source stands: what has been reduced, or dropped, so that nothing is read twice or left out after a crash. */
import type { ByteReader, ByteWriter } from "../reduce/bytes.ts";

/** A place in a source: `rows` rows after an offset that it can be read from. */
export interface Position {
  readonly offset: number;
  readonly rows: number;
}

/** See the head of this file. */
export class Positions {
  readonly #at: Position[];

  constructor(sources: number) {
    this.#at = Array.from({ length: sources }, () => ({ offset: 0, rows: 0 }));
  }

  of(source: number): Position {
    return this.#at[source]!;
  }

  /** Rows were reduced; `next` is where the source goes on, if they end a piece of it. */
  reduced(source: number, rows: number, next: number | undefined): void {
    this.#at[source] =
      next === undefined ? { offset: this.#at[source]!.offset, rows: this.#at[source]!.rows + rows } : { offset: next, rows: 0 };
  }

  /** The source stands `rows` rows after `next`, or after where it stood. */
  passed(source: number, rows: number, next: number | undefined): void {
    if (next !== undefined) this.#at[source] = { offset: next, rows: 0 };
    this.reduced(source, rows, undefined);
  }

  write(to: ByteWriter): void {
    to.unsigned(this.#at.length);
    for (const { offset, rows } of this.#at) {
      to.unsigned(offset);
      to.unsigned(rows);
    }
  }

  read(from: ByteReader): void {
    if (from.count(2) !== this.#at.length) from.fail("has another number of sources");
    for (let source = 0; source < this.#at.length; source++) this.#at[source] = { offset: from.unsigned(), rows: from.unsigned() };
  }
}
