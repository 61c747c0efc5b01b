/** Weights of a level as bytes (docs/state-format.md, "Weights"): what states are compared by, and what streams keep of changes. */
import type { ByteReader, ByteWriter } from "./bytes.ts";
import type { Key } from "./key.ts";
import { readKey, writeKey } from "./paths.ts";
import { readWeights as fromInput, type KeyedWeights, type Weights } from "./weights.ts";

/** The numbers of weights, after the two that layout.ts keeps for levels without weights of their own. */
const FORMS = { shared: 2, perNode: 3, matrix: 4, count: 5, byKey: 6 } as const;

/** Writes weights. */
export function writeWeights(to: ByteWriter, weights: Weights): void {
  to.byte(FORMS[weights.form]);
  if (weights.form === "count") return;
  if (weights.form === "byKey") {
    writeKeyed(to, weights);
    return;
  }
  if (weights.form === "matrix") {
    to.unsigned(weights.rows);
    to.unsigned(weights.extent);
  } else to.unsigned(weights.values.length);
  for (const w of weights.values) to.float(w);
}

/** Reads what {@link writeWeights} wrote. @throws FourfoldError ERR_FOURFOLD_STATE */
export function readWeights(from: ByteReader): Weights {
  switch (from.byte()) {
    case FORMS.count:
      return { form: "count" };
    case FORMS.byKey:
      return readKeyed(from);
    case FORMS.shared:
      return { form: "shared", values: readFloats(from, from.count(FLOAT_BYTES)) };
    case FORMS.perNode:
      return { form: "perNode", values: readFloats(from, from.count(FLOAT_BYTES)) };
    case FORMS.matrix: {
      const rows = from.count(FLOAT_BYTES);
      const extent = from.count(rows * FLOAT_BYTES);
      return { form: "matrix", rows, extent, values: readFloats(from, rows * extent) };
    }
    default:
      return from.fail("has weights of a form that is not known");
  }
}

const FLOAT_BYTES = 8;

function readFloats(from: ByteReader, count: number): Float64Array {
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = from.float();
  return values;
}

function writeKeyed(to: ByteWriter, { entries, missing }: KeyedWeights): void {
  to.byte(missing === undefined ? 0 : 1);
  if (missing !== undefined) to.float(missing);
  to.unsigned(entries.length);
  for (const [path, weight] of entries) {
    to.unsigned(path.length);
    for (const key of path) writeKey(to, key);
    to.float(weight);
  }
}

function readKeyed(from: ByteReader): Weights {
  const missing = from.byte() === 1 ? from.float() : undefined;
  const byKey: (readonly [Key[], number])[] = [];
  for (let left = from.count(1 + FLOAT_BYTES); left > 0; left--) {
    const path: Key[] = [];
    for (let keys = from.count(1); keys > 0; keys--) path.push(readKey(from));
    byKey.push([path, from.float()]);
  }
  return fromInput({ byKey, ...(missing !== undefined && { missing }) }, "a checkpoint");
}
