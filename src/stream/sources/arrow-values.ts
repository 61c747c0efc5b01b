/** Columns of Arrow → columns of a block. Numbers without nulls that lie aligned are views of the message; everything else is converted. */
import { isUtf8 } from "node:buffer";
import { NotTable } from "../../arrow/flatbuffer.ts";
import { arrayOf, EXACT_MAX, half, isExact, type Numbers } from "../../arrow/numbers.ts";
import type { ArrowColumn, ArrowType } from "../../arrow/schema.ts";
import { show } from "../../errors.ts";
import type { Key } from "../../reduce/key.ts";
import type { TypedData } from "../../types.ts";
import type { DictionaryColumn, StreamKeys } from "../types.ts";
import type { Fault } from "./rejected.ts";
import { type TimeUnit, timeOfNumber, timeOfText } from "./time.ts";

/** Tells of a row that cannot be taken; of each row the first fault counts. */
export type Refuse = (row: number, fault: Fault) => void;

const DAY_MS = 86_400_000;

/** Values `from` to `to` of a column of numbers as they lie, moved only if they do not lie aligned. */
function raw(column: ArrowColumn, type: ArrowType, from: number, to: number): Numbers {
  const kind = arrayOf(type);
  const [bytes] = column.buffers;
  if (kind === undefined || bytes === undefined) throw new NotTable(`field ${show(column.field.name)} holds no numbers`);
  const width = kind.BYTES_PER_ELEMENT;
  if (to * width > bytes.length)
    throw new NotTable(`field ${show(column.field.name)} has bytes for ${Math.floor(bytes.length / width)} of ${to} values`);
  const start = bytes.byteOffset + from * width;
  if (start % width === 0) return new kind(bytes.buffer, start, to - from);
  return new kind(bytes.slice(from * width, to * width).buffer, 0, to - from);
}

const isNull = (column: ArrowColumn, i: number): boolean =>
  column.validity !== undefined && (column.validity[i >> 3]! & (1 << (i & 7))) === 0;

/** Numbers `from` to `to` of a column, null as NaN. `perRow` of them are one row. */
export function numbersOf(column: ArrowColumn, from: number, to: number, perRow: number, refuse: Refuse): TypedData {
  const { type, name } = column.field;
  const values = raw(column, type, from, to);
  const isHalf = type.kind === "float" && type.bits === 16;
  const isPlain = !(
    isHalf ||
    values instanceof Uint16Array ||
    values instanceof Uint32Array ||
    values instanceof BigInt64Array ||
    values instanceof BigUint64Array
  );
  if (isPlain && column.validity === undefined) return values;
  const result = new Float64Array(to - from);
  for (let i = 0; i < result.length; i++) {
    if (isNull(column, from + i)) {
      result[i] = Number.NaN;
      continue;
    }
    const value = values[i]!;
    result[i] = isHalf ? half(value as number) : Number(value);
    if (typeof value === "bigint" && Math.abs(result[i]!) >= EXACT_MAX && !isExact(value))
      refuse(Math.floor(i / perRow), {
        what: `field ${show(name)} is ${value}, an integer beyond 2^53`,
        given: value,
        expected: "a number that float64 holds",
        column: name,
        fix: "To accept rounding, cast the column to float64",
      });
  }
  return result;
}

/** Text `i` of a column; undefined where it is no UTF-8. */
function textAt(column: ArrowColumn, offsets: Int32Array | BigInt64Array, i: number): string | undefined {
  const bytes = column.buffers[1]!;
  const start = Number(offsets[i]!);
  const end = Number(offsets[i + 1]!);
  if (!(start >= 0 && start <= end && end <= bytes.length))
    throw new NotTable(`field ${show(column.field.name)} has text outside its bytes`);
  const slice = bytes.subarray(start, end);
  return isUtf8(slice) ? Buffer.from(slice.buffer, slice.byteOffset, slice.length).toString() : undefined;
}

function offsetsOf(column: ArrowColumn, large: boolean): Int32Array | BigInt64Array {
  // An empty column may leave its offsets out.
  if (column.length === 0) return new Int32Array(1);
  return raw(column, { kind: "int", bits: large ? 64 : 32, signed: true }, 0, column.length + 1) as Int32Array | BigInt64Array;
}

const NO_TEXT = Symbol("not UTF-8");

/** Reads keys `from` to `to` of a column that is not in a dictionary; NO_TEXT where text is none. Undefined if the type is no key. */
function plainKeys(column: ArrowColumn, from: number, to: number): (Key | typeof NO_TEXT)[] | undefined {
  const { type } = column.field;
  const length = to - from;
  const orNull = (read: (i: number) => Key | typeof NO_TEXT) =>
    Array.from({ length }, (_, i) => (isNull(column, from + i) ? null : read(i)));
  if (type.kind === "utf8") {
    const offsets = offsetsOf(column, type.large);
    return orNull((i) => textAt(column, offsets, from + i) ?? NO_TEXT);
  }
  if (type.kind === "bool") {
    const bits = column.buffers[0]!;
    if (bits.length * 8 < to) throw new NotTable(`field ${show(column.field.name)} has too few bits`);
    return orNull((i) => (bits[(from + i) >> 3]! & (1 << ((from + i) & 7))) !== 0);
  }
  if (type.kind === "int" || (type.kind === "float" && type.bits !== 16)) {
    const values = raw(column, type, from, to);
    return orNull((i) => {
      const value = values[i]!;
      if (typeof value === "number") return value;
      return isExact(value) ? Number(value) : value;
    });
  }
  return undefined;
}

/** The keys of a dictionary: those that text cannot be are null, and refused where they are used. */
export function dictionaryOf(column: ArrowColumn): readonly Key[] {
  const keys = plainKeys(column, 0, column.length);
  // A dictionary of what is no key may be that of a column that nobody asks for.
  return keys === undefined ? [] : keys.map((key) => (key === NO_TEXT ? null : key));
}

function noKey(name: string, given: unknown): Fault {
  return { what: `key ${show(name)} is ${show(given)}, expected a key`, given, expected: "a string, a number or a boolean", column: name };
}

/** True if a column of this type can be keys. */
export const isKeyType = (type: ArrowType): boolean =>
  type.kind === "utf8" || type.kind === "bool" || type.kind === "int" || (type.kind === "float" && type.bits !== 16);

/** Keys `from` to `to` of a column, with its dictionary if it has one. */
export function keysOf(
  column: ArrowColumn,
  from: number,
  to: number,
  dictionary: readonly Key[] | undefined,
  nullKeys: boolean,
  refuse: Refuse,
): StreamKeys {
  const { name, dictionary: encoding } = column.field;
  if (encoding === undefined) {
    const keys = plainKeys(column, from, to)!;
    for (const [i, key] of keys.entries())
      if ((key === null && !nullKeys) || key === NO_TEXT || key !== key)
        refuse(i, noKey(name, key === NO_TEXT ? "bytes that are not UTF-8" : key));
    return keys as Key[];
  }
  if (dictionary === undefined) throw new NotTable(`field ${show(name)} has no dictionary`);
  const values = raw(column, encoding.codes, from, to);
  // Codes of 64 bits name entries that no array could hold; a code beyond 32 bits is out of range in either form.
  const codes =
    values instanceof BigInt64Array || values instanceof BigUint64Array
      ? Int32Array.from(values, (code) => (code < 2n ** 31n ? Number(code) : -1))
      : values;
  let copy: DictionaryColumn["codes"] | undefined;
  const isMissing = (i: number): boolean => isNull(column, from + i) || dictionary[codes[i]!] === null;
  for (let i = 0; i < codes.length; i++) {
    const key = isNull(column, from + i) ? null : dictionary[codes[i]!];
    if (key !== undefined && (key !== null || nullKeys) && key === key) continue;
    refuse(
      i,
      key === undefined
        ? { ...noKey(name, codes[i]), what: `key ${show(name)} has the code ${codes[i]}, which its dictionary does not have` }
        : noKey(name, key),
    );
    // What is refused is dropped; its code must still name something until then.
    copy ??= codes.slice() as DictionaryColumn["codes"];
    copy[i] = 0;
  }
  if (nullKeys) return Array.from(copy ?? codes, (code, i) => (isMissing(i) ? null : dictionary[code]!));
  return { codes: copy ?? (codes as DictionaryColumn["codes"]), dictionary };
}

/** True if a column of this type can be times. */
export const isTimeType = (type: ArrowType): boolean => type.kind === "utf8" || arrayOf(type) !== undefined;

/** Times `from` to `to` of a column in milliseconds. Plain numbers count in `unit`. */
export function timesOf(column: ArrowColumn, from: number, to: number, unit: TimeUnit, refuse: Refuse): Float64Array {
  const { type, name } = column.field;
  const result = new Float64Array(to - from);
  const texts = type.kind === "utf8" ? offsetsOf(column, type.large) : undefined;
  const values = texts === undefined ? raw(column, type, from, to) : undefined;
  const isHalf = type.kind === "float" && type.bits === 16;
  for (let i = 0; i < result.length; i++) {
    let time = Number.NaN;
    let given: unknown = null;
    if (!isNull(column, from + i)) {
      if (texts !== undefined) {
        given = textAt(column, texts, from + i);
        time = timeOfText((given as string | undefined) ?? "");
      } else {
        given = values![i];
        const number = isHalf ? half(given as number) : Number(given);
        if (type.kind === "timestamp") time = timeOfNumber(number, type.unit);
        else if (type.kind === "date") time = timeOfNumber(type.unit === "day" ? number * DAY_MS : number, "ms");
        else time = timeOfNumber(number, unit);
      }
    }
    if (time !== time)
      refuse(i, { what: `field ${show(name)} is ${show(given)}, expected a time`, given, expected: "a time", column: name });
    result[i] = time;
  }
  return result;
}

/** Frames `from` to `to` of a column of lists, one after the other. Lists of another length than `size`, and nulls, are refused. */
export function framesOf(column: ArrowColumn, from: number, to: number, size: number, refuse: Refuse): TypedData {
  const { type, name } = column.field;
  const child = column.children[0]!;
  let first = from * size;
  for (let i = from; i < to; i++)
    if (isNull(column, i)) refuse(i - from, { what: `field ${show(name)} is null, expected ${size} numbers`, column: name });
  if (type.kind === "list") {
    const offsets = offsetsOf(column, type.large);
    const at = (i: number): number => Number(offsets[i]!);
    if (!(at(from) >= 0 && at(to) <= child.length)) throw new NotTable(`field ${show(name)} has lists outside its values`);
    let isDense = true;
    for (let i = from; i < to; i++) {
      const length = at(i + 1) - at(i);
      if (length < 0) throw new NotTable(`field ${show(name)} has offsets that fall`);
      if (length === size) continue;
      isDense = false;
      if (!isNull(column, i))
        refuse(i - from, {
          what: `field ${show(name)} has ${length} values, expected ${size}: one frame`,
          given: length,
          expected: `${size} numbers`,
          column: name,
        });
    }
    if (!isDense) return gathered(child, from, to, size, at, refuse);
    first = at(from);
  }
  const last = first + (to - from) * size;
  if (last > child.length) throw new NotTable(`field ${show(name)} has ${child.length} of ${last} values`);
  return numbersOf(child, first, last, size, refuse);
}

/** Frames among lists of other lengths, which stay NaN. */
function gathered(child: ArrowColumn, from: number, to: number, size: number, at: (i: number) => number, refuse: Refuse): Float64Array {
  const result = new Float64Array((to - from) * size).fill(Number.NaN);
  for (let i = from; i < to; i++)
    if (at(i + 1) - at(i) === size)
      result.set(
        numbersOf(child, at(i), at(i + 1), size, () => refuse(i - from, { what: "a frame with an integer beyond 2^53" })),
        (i - from) * size,
      );
  return result;
}
