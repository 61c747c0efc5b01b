/**
 * A strict JSON reader (RFC 8259) that knows where each value stood, so that a message about a spec can name line and column.
 * Objects have no prototype, which makes `__proto__` a key like any other; a key given twice is an error, not a silent override.
 */
import { FourfoldError } from "../errors.ts";

/** A JSON value; objects have a null prototype. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

/** A JSON object, read by own property. */
export interface JsonObject {
  [key: string]: JsonValue;
}

/** A line and a column, both from 1; columns count UTF-16 units, as editors do. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A document and the places of its parts. */
export interface JsonDocument {
  readonly file: string | undefined;
  readonly value: JsonValue;
  /** Where the value at a JSON pointer stands. */
  valueAt(pointer: string): Place;
  /** Where the key that a JSON pointer ends in stands. */
  keyAt(pointer: string): Place;
}

/** Nesting deeper than this is refused: no spec needs it, and recursion must end. */
const DEPTH_MAX = 32;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: Readonly<Record<string, string>> = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** `key` as one step of a JSON pointer (RFC 6901). */
export function pointerStep(key: string | number): string {
  return `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function placeOf(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  return { line: before.split("\n").length, column: offset - (before.lastIndexOf("\n") + 1) + 1 };
}

/** Reads `source` as JSON; a mistake is an ERR_FOURFOLD_SPEC with line and column. */
export function parseJson(source: string, file?: string): JsonDocument {
  const text = source.charCodeAt(0) === 0xfeff ? source.slice(1) : source;
  const values = new Map<string, number>();
  const keys = new Map<string, number>();
  let at = 0;

  function fail(what: string, offset: number = at, pointer?: string): never {
    const place = placeOf(text, offset);
    throw new FourfoldError("ERR_FOURFOLD_SPEC", `${file ?? "spec"}:${place.line}:${place.column}: ${what}`, {
      expected: "JSON",
      at: { ...place, ...(file === undefined ? {} : { file }), ...(pointer === undefined ? {} : { pointer }) },
    });
  }
  const found = (): string =>
    at < text.length ? JSON.stringify(String.fromCodePoint(text.codePointAt(at) as number)) : "the end of the file";
  function skipSpace(): void {
    for (; at < text.length; at++) {
      const c = text.charCodeAt(at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
    }
  }
  function readString(): string {
    const start = at++;
    let result = "";
    for (;;) {
      PLAIN.lastIndex = at;
      const run = (PLAIN.exec(text) as RegExpExecArray)[0];
      result += run;
      at += run.length;
      const c = text[at];
      if (c === '"') {
        at++;
        return result;
      }
      if (c === undefined) fail("this string has no closing quote", start);
      if (c !== "\\") fail("a line break or control character inside a string; write it as \\n or \\u00XX");
      const letter = text[at + 1] ?? "";
      if (letter === "u") {
        const hex = text.slice(at + 2, at + 6);
        if (!/^[0-9a-fA-F]{4}$/.test(hex)) fail("\\u must be followed by four hexadecimal digits");
        result += String.fromCharCode(Number.parseInt(hex, 16));
        at += 6;
      } else {
        const plain = ESCAPES[letter];
        if (plain === undefined) fail(`JSON has no escape \\${letter}; a backslash is written \\\\`);
        result += plain;
        at += 2;
      }
    }
  }
  function readValue(pointer: string, depth: number): JsonValue {
    skipSpace();
    values.set(pointer, at);
    if (depth > DEPTH_MAX) fail(`nested deeper than ${DEPTH_MAX} levels`, at, pointer);
    const c = text[at];
    if (c === "{") return readObject(pointer, depth);
    if (c === "[") return readArray(pointer, depth);
    if (c === '"') return readString();
    for (const [word, value] of [
      ["true", true],
      ["false", false],
      ["null", null],
    ] as const)
      if (text.startsWith(word, at)) {
        at += word.length;
        return value;
      }
    NUMBER.lastIndex = at;
    const number = NUMBER.exec(text);
    if (number === null) fail(`expected a value, found ${found()}`);
    at += number[0].length;
    return Number(number[0]);
  }
  function readArray(pointer: string, depth: number): JsonValue[] {
    const result: JsonValue[] = [];
    at++;
    skipSpace();
    if (text[at] === "]") {
      at++;
      return result;
    }
    for (;;) {
      result.push(readValue(pointer + pointerStep(result.length), depth + 1));
      skipSpace();
      if (text[at] === "]") {
        at++;
        return result;
      }
      if (text[at] !== ",") fail(`expected "," or "]", found ${found()}`);
      at++;
    }
  }
  function readObject(pointer: string, depth: number): JsonObject {
    const result = Object.create(null) as JsonObject;
    at++;
    skipSpace();
    if (text[at] === "}") {
      at++;
      return result;
    }
    for (;;) {
      skipSpace();
      if (text[at] !== '"') fail(`expected a key in double quotes, found ${found()}`);
      const start = at;
      const key = readString();
      const child = pointer + pointerStep(key);
      if (key in result) fail(`the key ${JSON.stringify(key)} is given twice`, start, child);
      keys.set(child, start);
      skipSpace();
      if (text[at] !== ":") fail(`expected ":" after the key, found ${found()}`);
      at++;
      result[key] = readValue(child, depth + 1);
      skipSpace();
      if (text[at] === "}") {
        at++;
        return result;
      }
      if (text[at] !== ",") fail(`expected "," or "}", found ${found()}`);
      at++;
    }
  }

  const value = readValue("", 0);
  skipSpace();
  if (at < text.length) fail(`expected the end of the file, found ${found()}`);
  return {
    file,
    value,
    valueAt: (pointer) => placeOf(text, values.get(pointer) ?? 0),
    keyAt: (pointer) => placeOf(text, keys.get(pointer) ?? values.get(pointer) ?? 0),
  };
}
