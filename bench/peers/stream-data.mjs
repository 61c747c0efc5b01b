// What every contestant of suites/streams.mjs reduces: rows of a key and a frame of 64 float32, in windows of 1,000 rows.
import { fillData, fillWeights } from "../harness/ground.mjs";

export const VALUES = 64;
export const KEYS = 16;
export const WINDOW = 1000;

/** Rows, of which the second, third and fourth quarter are the first again: a ring of four buffers then holds the same in each. */
export function streamData(rows) {
  const quarter = rows / 4;
  const first = fillData(new Float32Array(quarter * VALUES));
  const data = new Float32Array(rows * VALUES);
  const codes = new Uint8Array(rows);
  for (let i = 0; i < 4; i++) data.set(first, i * first.length);
  for (let row = 0; row < rows; row++) codes[row] = Math.imul(row % quarter, 2654435761) >>> 28;
  const dictionary = Array.from({ length: KEYS }, (_, key) => `k${String(key).padStart(2, "0")}`);
  return { rows, quarter, data, codes, dictionary, weights: fillWeights(new Float32Array(VALUES)) };
}

/** The rows as objects, as a program that reads messages has them: what RxJS gets, and one of our cases, too. */
export function itemsOf({ rows, data, codes, dictionary }) {
  return Array.from({ length: rows }, (_, row) => ({
    keys: { key: dictionary[codes[row]] },
    frame: data.subarray(row * VALUES, (row + 1) * VALUES),
  }));
}
