/**
 * What a tensor at rest must be before anything is planned for it: sources are not only opened by fourfold/files, but made by hand, too. What
 * a shape and offsets must be is checked where all inputs' are.
 */
import { BYTES } from "./backends/memory.ts";
import { FourfoldError, show } from "./errors.ts";
import type { TensorSource } from "./types.ts";

/** Numbers of open files are C's int. */
const FD_MAX = 2 ** 31 - 1;

/** Checks the parts of a source. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkResting(source: TensorSource): void {
  const { name, dtype, length, shape, offsets } = source;
  if (typeof name !== "string") throw refused("a tensor at rest", "name", name, "a string", "Give it a name for messages");
  if (typeof dtype !== "string" || !Object.hasOwn(BYTES, dtype))
    throw refused(name, "dtype", dtype, Object.keys(BYTES).join(", "), "Let read convert the leaves to one of these");
  if (!isCount(length)) throw refused(name, "length", length, "a whole number of leaves", "Give the number of leaves");
  if (typeof source.read !== "function") throw refused(name, "read", source.read, "a function", "Let read(target, first) fill target");
  if (shape === undefined ? !Array.isArray(offsets) : offsets !== undefined)
    throw refused(
      name,
      "offsets",
      offsets,
      shape === undefined ? "an array of offset arrays, as there is no shape" : "undefined beside a shape",
      "Give shape where it is dense, offsets where it is ragged",
    );
  if (source.hold !== undefined && typeof source.hold !== "function")
    throw refused(name, "hold", source.hold, "a function or undefined", "Leave it out");
  checkSegments(source);
}

/** Keeps a source open, if it can be closed while a run lasts; what is returned ends that. @throws FourfoldError what its `hold` throws */
export function holdResting(source: TensorSource): () => void {
  const release: unknown = source.hold?.();
  if (release === undefined) return () => undefined;
  if (typeof release !== "function")
    throw refused(source.name, "hold()", release, "a function", "Let hold return what ends the hold, or leave it out");
  return () => void release();
}

function checkSegments({ name, length, segments }: TensorSource): void {
  if (segments === undefined) return;
  const fix = "Leave segments undefined: then read is used";
  if (!Array.isArray(segments)) throw refused(name, "segments", segments, "an array or undefined", fix);
  let items = 0;
  for (let i = 0; i < segments.length; i++) {
    const segment: unknown = segments[i]; // undefined where the list has a hole
    if (typeof segment !== "object" || segment === null) throw refused(name, `segments[${i}]`, segment, "{ fd, at, items }", fix);
    const some = segment as Readonly<Record<string, unknown>>;
    for (const key of ["fd", "at", "items"])
      if (!isCount(some[key]) || (key === "fd" && some[key] > FD_MAX))
        throw refused(name, `segments[${i}].${key}`, some[key], key === "fd" ? "the number of an open file" : "a whole number", fix);
    items += some["items"] as number;
  }
  if (items !== length)
    throw refused(name, "segments", items, `${length} items in all, as its length says`, "Give the place of every leaf, and no other");
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function refused(name: string, part: string, given: unknown, expected: string, fix: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${name}: ${part} is ${show(given)}, expected ${expected}`, { given, expected, fix });
}
