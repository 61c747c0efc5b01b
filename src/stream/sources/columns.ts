/** The columns of one chunk while they are filled: a row counts once `rows` is raised, so that a record refused halfway leaves nothing. */
import type { Key } from "../../reduce/key.ts";
import type { Block } from "../types.ts";
import type { BoundFields } from "./fields.ts";

export class Columns {
  readonly data: Float64Array;
  readonly keys: Key[][];
  readonly times: Float64Array | undefined;
  readonly weights: Float64Array | undefined;
  readonly childWeights: readonly Float64Array[];
  rows = 0;
  readonly #fields: BoundFields;

  /** Room for `capacity` records or frames. */
  constructor(fields: BoundFields, capacity: number) {
    this.#fields = fields;
    this.data = new Float64Array(capacity * (fields.frameValues ?? 1));
    this.keys = Array.from({ length: fields.depth }, () => []);
    this.times = fields.time === undefined ? undefined : new Float64Array(capacity);
    this.weights = fields.weight === undefined ? undefined : new Float64Array(capacity);
    this.childWeights = fields.childWeights.map(() => new Float64Array(capacity));
  }

  /** What was filled; undefined if nothing was. */
  block(): Block | undefined {
    const { rows } = this;
    if (rows === 0) return undefined;
    for (const column of this.keys) column.length = rows;
    const { childWeights, frameValues } = this.#fields;
    return {
      rows,
      data: this.data.subarray(0, rows * (frameValues ?? 1)),
      keys: this.keys,
      times: this.times?.subarray(0, rows),
      weights: this.weights?.subarray(0, rows),
      ...(childWeights.length === 0
        ? {}
        : { childWeights: Object.fromEntries(childWeights.map(({ level }, i) => [level, this.childWeights[i]!.subarray(0, rows)])) }),
    };
  }
}

/** Rows that columns must have room for: no more than `rows`, and no more frames than `bytes` of text can hold. */
export function roomFor(fields: BoundFields, rows: number, bytes: number): number {
  // A number and a comma each; without this, short lines could ask for the memory of as many frames.
  return Math.min(rows, Math.floor(bytes / (2 * (fields.frameValues ?? 1))) + 1);
}
