/** One object → one row of the columns, or what is wrong with it. Fields that nobody asked for are not looked at. */
import { show } from "../../errors.ts";
import type { Key } from "../../reduce/key.ts";
import type { Columns } from "./columns.ts";
import type { BoundFields } from "./fields.ts";
import { losesDigits } from "./json-text.ts";
import type { Fault } from "./rejected.ts";
import { timeOfNumber, timeOfText } from "./time.ts";

/** From here on float64 does not hold every integer. */
const EXACT_MAX = 2 ** 53;

type Fields = Readonly<Record<string, unknown>>;

/** The text that a field was read from: numbers whose digits float64 does not hold show only there. */
export type TextOf = (field: string) => string | undefined;

/** What a field holds, as it reads after "field … is". */
const told = (given: unknown): string => (given === undefined ? "missing" : show(given));

function notNumber(field: string, given: unknown, expected = "a number or null"): Fault {
  return {
    what: `field ${show(field)} is ${told(given)}, expected ${expected}`,
    given,
    expected,
    column: field,
    ...(typeof given === "string" && given.trim() !== "" && Number.isFinite(Number(given)) ? { fix: "Write numbers without quotes" } : {}),
  };
}

/** The fault of a large number whose digits float64 does not hold, or of one beyond it. */
function lostDigits(field: string, value: number, text: string | undefined): Fault | undefined {
  const expected = "a number that float64 holds";
  // Formats that can say "infinity" may.
  if (!Number.isFinite(value) && text !== undefined && /^[+-]?inf/i.test(text)) return undefined;
  if (!Number.isFinite(value))
    return { what: `field ${show(field)} is beyond float64`, given: text?.slice(0, 60), expected, column: field };
  if (text === undefined || !losesDigits(text)) return undefined;
  return {
    what: `field ${show(field)} is ${text}, an integer that float64 does not hold exactly`,
    given: text,
    expected,
    column: field,
    fix: `To accept rounding, write it with a point: ${text}.0`,
  };
}

function keyFault(name: string, given: unknown): Fault {
  const missing = given === undefined || given === null;
  return {
    what: `key ${show(name)} is ${told(given)}, expected a string, a number or a boolean`,
    given,
    expected: "a string, a number or a boolean",
    column: name,
    ...(missing ? { fix: "Every record needs all keys of the stream" } : {}),
  };
}

/** Reads the records of one stream. */
export class RecordReader {
  readonly #fields: BoundFields;
  /** The text of a field of the record at hand. */
  #textOf: TextOf = () => undefined;

  constructor(fields: BoundFields) {
    this.#fields = fields;
  }

  /** Puts `record` into the next row of `columns`, or says why not. */
  add(record: unknown, columns: Columns, textOf: TextOf): Fault | undefined {
    if (typeof record !== "object" || record === null || Array.isArray(record))
      return {
        what: `a JSON ${Array.isArray(record) ? "array" : record === null ? "null" : typeof record}, expected an object`,
        expected: "an object",
      };
    // No honest record has this key, and copying one that has it would change the copy's prototype.
    if (Object.hasOwn(record, "__proto__")) return { what: 'a key "__proto__", which no record may have', column: "__proto__" };
    this.#textOf = textOf;
    const one = record as Fields;
    const { rows } = columns;
    const { value, time, weight, frameValues, childWeights } = this.#fields;
    let fault = frameValues === undefined ? this.#number(one, value, columns.data, rows) : this.#frame(one, frameValues, columns);
    fault ??= this.#keys(one, columns);
    if (time !== undefined) fault ??= this.#time(one, time, columns);
    if (weight !== undefined) fault ??= this.#number(one, weight, columns.weights!, rows);
    for (let i = 0; i < childWeights.length; i++) fault ??= this.#number(one, childWeights[i]!.field, columns.childWeights[i]!, rows);
    if (fault === undefined) columns.rows++;
    return fault;
  }

  #number(record: Fields, field: string, column: Float64Array, row: number): Fault | undefined {
    const value = record[field];
    if (typeof value === "number") {
      column[row] = value;
      if (value >= EXACT_MAX || value <= -EXACT_MAX) return lostDigits(field, value, this.#textOf(field));
      return undefined;
    }
    if (value !== null) return notNumber(field, value);
    column[row] = Number.NaN;
    return undefined;
  }

  #frame(record: Fields, length: number, columns: Columns): Fault | undefined {
    const field = this.#fields.value;
    const values = record[field];
    const expected = `an array of ${length} numbers`;
    if (!Array.isArray(values)) return notNumber(field, values, expected);
    if (values.length !== length)
      return {
        what: `field ${show(field)} has ${values.length} values, expected ${length}: one frame`,
        given: values.length,
        expected,
        column: field,
      };
    const { data, rows } = columns;
    let at = rows * length;
    let large = -1;
    for (let i = 0; i < length; i++) {
      const value: unknown = values[i];
      if (typeof value === "number") {
        data[at++] = value;
        if (value >= EXACT_MAX || value <= -EXACT_MAX) large = i;
      } else if (value === null) data[at++] = Number.NaN;
      else return { ...notNumber(`${field}[${i}]`, value), column: field };
    }
    return large < 0 ? undefined : this.#largeInFrame(field, values as (number | null)[]);
  }

  #largeInFrame(field: string, values: readonly (number | null)[]): Fault | undefined {
    // All items are numbers or null: their text has no commas of its own.
    const texts = this.#textOf(field)?.slice(1, -1).split(",");
    for (const [i, value] of values.entries()) {
      const fault = value !== null && Math.abs(value) >= EXACT_MAX ? lostDigits(`${field}[${i}]`, value, texts?.[i]?.trim()) : undefined;
      if (fault !== undefined) return { ...fault, column: field };
    }
    return undefined;
  }

  #keys(record: Fields, columns: Columns): Fault | undefined {
    const { keys, path } = this.#fields;
    if (path !== undefined) return this.#path(record, path, columns);
    for (let k = 0; k < keys.length; k++) {
      const name = keys[k]!;
      const fault = this.#key(name, record[name], columns.keys[k]!, columns.rows);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #key(name: string, key: unknown, column: Key[], row: number): Fault | undefined {
    if (typeof key === "string" || typeof key === "boolean") column[row] = key;
    else if (typeof key === "number") {
      column[row] = key;
      if (key >= EXACT_MAX || key <= -EXACT_MAX)
        return { ...keyFault(name, key), fix: "Write large keys as text: two of them could become one" };
    } else if ((key === null || key === undefined) && this.#fields.nullKeys) column[row] = null;
    else return keyFault(name, key);
    return undefined;
  }

  #path(record: Fields, field: string, columns: Columns): Fault | undefined {
    const { depth } = this.#fields;
    const given = record[field];
    const path: unknown = typeof given === "string" ? given.split("/") : given;
    const expected = `${depth} keys, outermost first: an array, or text with "/" between them`;
    if (!Array.isArray(path))
      return { what: `field ${show(field)} is ${told(given)}, expected ${expected}`, given, expected, column: field };
    if (path.length !== depth)
      return { what: `field ${show(field)} is ${show(given)}: ${path.length} keys, expected ${depth}`, given, expected, column: field };
    for (let k = 0; k < depth; k++) {
      const fault = this.#key(`${field}[${k}]`, path[k], columns.keys[k]!, columns.rows);
      if (fault !== undefined) return { ...fault, column: field };
    }
    return undefined;
  }

  #time(record: Fields, field: string, columns: Columns): Fault | undefined {
    const given = record[field];
    let time = Number.NaN;
    if (typeof given === "number") time = timeOfNumber(given, this.#fields.timeUnit);
    else if (typeof given === "string") time = timeOfText(given);
    if (time !== time) return timeFault(field, given);
    columns.times![columns.rows] = time;
    return undefined;
  }
}

/** The fault of a time that cannot be read. */
function timeFault(field: string, given: unknown): Fault {
  return {
    what: `field ${show(field)} is ${told(given)}, expected a time`,
    given,
    expected: "a number, or text such as 2024-05-06T07:08:09.123Z or 2024/05/06 07:08",
    column: field,
  };
}
