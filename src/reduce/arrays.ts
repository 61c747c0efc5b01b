/** What kind of typed array a value is: by its own slot, so that subclasses and other realms count and a changed constructor does not. */

const nameOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)!.get!;

/** "Float64Array" and the like, or undefined for what is no typed array (a DataView, a list, anything else). */
export function typedArrayName(value: unknown): string | undefined {
  return nameOf.call(value) as string | undefined;
}

/** True if the memory of a typed array was transferred away, which leaves it empty. */
export function isDetached({ buffer }: { readonly buffer: ArrayBufferLike }): boolean {
  if (buffer.byteLength > 0) return false;
  try {
    new Uint8Array(buffer); // Node 20 has no `detached`; this refuses such a buffer in every version
    return false;
  } catch {
    return true;
  }
}

/** The array itself if it has room for `length` values, or a copy with room for twice as many, or for `length`; new values are 0. */
export function grown<T extends Float64Array | Int32Array | Uint32Array | Uint8Array>(array: T, length: number): T {
  if (length <= array.length) return array;
  const more = new (array.constructor as new (length: number) => T)(Math.max(length, 2 * array.length));
  more.set(array);
  return more;
}
