/** How numbers of Arrow's types lie in memory. Pure. */
import type { TypedData } from "../types.ts";
import type { ArrowType } from "./schema.ts";

/** Values of a type, as they lie. */
export type Numbers = TypedData | Uint16Array | Uint32Array | BigInt64Array | BigUint64Array;

/** float64 holds every integer up to it. */
export const EXACT_MAX: number = 2 ** 53;

export const isExact = (value: bigint): boolean => value >= -BigInt(EXACT_MAX) && value <= BigInt(EXACT_MAX);

/** How values of a type lie; undefined for those that are no numbers. */
export function arrayOf(
  type: ArrowType,
): { new (buffer: ArrayBufferLike, offset: number, length: number): Numbers; BYTES_PER_ELEMENT: number } | undefined {
  if (type.kind === "float")
    return type.bits === 16 ? Uint16Array : type.bits === 32 ? Float32Array : type.bits === 64 ? Float64Array : undefined;
  if (type.kind === "timestamp") return BigInt64Array;
  if (type.kind === "date") return type.unit === "day" ? Int32Array : BigInt64Array;
  if (type.kind !== "int") return undefined;
  const signed = { 8: Int8Array, 16: Int16Array, 32: Int32Array, 64: BigInt64Array } as const;
  const unsigned = { 8: Uint8Array, 16: Uint16Array, 32: Uint32Array, 64: BigUint64Array } as const;
  return (type.signed ? signed : unsigned)[type.bits as 8];
}

/** The name of a type in messages. */
export function typeName(type: ArrowType): string {
  if (type.kind === "int") return `${type.signed ? "" : "u"}int${type.bits}`;
  if (type.kind === "float") return `float${type.bits}`;
  return type.kind === "other" ? type.name : type.kind === "fixedList" ? "fixed-size list" : type.kind;
}

/** A float16 as a number (IEEE 754). */
export function half(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction === 0
          ? Number.POSITIVE_INFINITY
          : Number.NaN
        : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

/** True if a column of this type can be values. */
export const isNumberType = (type: ArrowType): boolean =>
  type.kind === "int" || type.kind === "float" ? arrayOf(type) !== undefined : false;
