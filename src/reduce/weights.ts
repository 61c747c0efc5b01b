/** The weights of one level: what a caller may give, and the one form the rest of the package reads. */
import { FourfoldError, show } from "../errors.ts";
import { isDetached, typedArrayName } from "./arrays.ts";

/** A list of numbers: weights are copied to float64 when the chain is made. */
export type NumberList = readonly number[] | Float32Array | Float64Array;

/**
 * Weights of a level.
 * - a list: one vector shared by all nodes of the level; its length is the level's extent.
 * - `{ perNode }`: one weight for each child of the level, row-major; of one frame (repeated for each) or of all.
 * - a list of lists: a matrix, one row for each output; one level of a chain may have it.
 * - `"count"`: the number of non-skipped records below each child.
 */
export type WeightsInput = NumberList | { readonly perNode: NumberList } | readonly NumberList[] | "count";

/**
 * Weights as a level holds them, frozen. Their values are a copy that plans made from the chain share:
 * JavaScript cannot freeze a typed array, so do not write to it.
 */
export type Weights =
  | { readonly form: "shared"; readonly values: Float64Array }
  | { readonly form: "perNode"; readonly values: Float64Array }
  | { readonly form: "matrix"; readonly values: Float64Array; readonly rows: number; readonly extent: number }
  | { readonly form: "count" };

/** Reads weights, copying them. @throws FourfoldError ERR_FOURFOLD_WEIGHTS */
export function readWeights(input: WeightsInput, reduction: string): Weights {
  if (input === "count") return Object.freeze({ form: "count" });
  if (isList(input)) return Object.freeze({ form: "shared", values: copy(input, reduction) });
  if (Array.isArray(input)) return readMatrix(input as readonly NumberList[], reduction);
  const perNode = (input as { perNode?: unknown } | null | undefined)?.perNode;
  if (isList(perNode)) return Object.freeze({ form: "perNode", values: copy(perNode, reduction) });
  throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `${reduction}: weights are ${show(input)}`, {
    given: input,
    expected: 'a list of numbers, { perNode: list }, a list of lists, or "count"',
    fix: 'Give a list of numbers, { perNode: list }, a list of lists (a matrix), or "count"',
  });
}

function readMatrix(rows: readonly NumberList[], reduction: string): Weights {
  const extent = isList(rows[0]) ? rows[0].length : 0;
  const values = new Float64Array(rows.length * extent);
  for (let r = 0; r < rows.length; r++) {
    const row: unknown = rows[r]; // undefined where the list has a hole
    if (!isList(row) || row.length !== extent)
      throw new FourfoldError(
        "ERR_FOURFOLD_WEIGHTS",
        `${reduction}: row ${r} of the weight matrix is ${show(row)}, row 0 has ${extent} weights`,
        {
          given: row,
          expected: extent,
          fix: "Give every output as many weights as row 0 has",
          at: { row: r },
        },
      );
    values.set(copy(row, reduction), r * extent);
  }
  return Object.freeze({ form: "matrix", values, rows: rows.length, extent });
}

function isList(value: unknown): value is NumberList {
  const name = typedArrayName(value);
  if (name === "Float64Array" || name === "Float32Array") return true;
  return Array.isArray(value) && (value.length === 0 || typeof value[0] !== "object");
}

function copy(list: NumberList, reduction: string): Float64Array {
  if (Array.isArray(list)) {
    const bad = list.findIndex((w) => typeof w !== "number");
    if (bad >= 0)
      throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `${reduction}: weight ${bad} is ${show(list[bad])}, expected a number`, {
        given: list[bad],
        expected: "number",
        at: { index: bad },
      });
  } else if (isDetached(list as Float64Array))
    throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `${reduction}: the weights are an array whose memory was transferred away`, {
      given: list,
      fix: "Make the chain before the array is transferred, or give a copy",
    });
  return new Float64Array(list);
}
