/** The parts of Zarr's metadata documents: objects and extents that are checked before they are believed. */
import { FourfoldError, show } from "../errors.ts";

/** A part of a metadata document, read by own property. */
export type Fields = Readonly<Record<string, unknown>>;

/** NumPy's limit on dimensions, which Zarr's own library shares. */
const RANK_MAX = 64;

/** The error for metadata that are not what the specification says. */
export function badMetadata(file: string, what: string, detail: { given?: unknown; expected?: unknown; fix?: string } = {}): FourfoldError {
  const instead = typeof detail.expected === "string" ? `, expected ${detail.expected}` : "";
  return new FourfoldError("ERR_FOURFOLD_FORMAT", `${file}: ${what}${instead}`, { ...detail, at: { file } });
}

/** A JSON object. @throws FourfoldError ERR_FOURFOLD_FORMAT */
export function fieldsOf(value: unknown, what: string, file: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw badMetadata(file, `${what} is ${show(value)}`, { given: value, expected: "an object" });
  return value as Fields;
}

/** Own properties only: a document may name `__proto__` or `constructor`. */
export function fieldOf(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** Extents of an array, at least `least`. */
export function extents(value: unknown, least: number, what: string, file: string): number[] {
  if (!Array.isArray(value) || value.length > RANK_MAX || !value.every((extent) => Number.isSafeInteger(extent) && extent >= least))
    throw badMetadata(file, `${what} is ${show(value)}`, { given: value, expected: `up to ${RANK_MAX} whole numbers from ${least} on` });
  if (!Number.isSafeInteger(8 * value.reduce((product, extent) => product * extent, 1)))
    throw badMetadata(file, `${what} is ${show(value)}`, { given: value, expected: "fewer than 2^50 items" });
  return value;
}

/** The extents of chunks: as many as the array has axes. */
export function chunkShape(value: unknown, shape: readonly number[], what: string, file: string): number[] {
  const chunks = extents(value, 1, what, file);
  if (chunks.length !== shape.length)
    throw badMetadata(file, `${what} has ${chunks.length} extents, the array ${shape.length}`, { given: chunks, expected: shape.length });
  return chunks;
}
