/** Checks of the parts of a spec, each with line, column and JSON pointer in its message. */
import { FourfoldError, nearest, show } from "../errors.ts";
import { type JsonDocument, type JsonObject, type JsonValue, pointerStep } from "./json.ts";

/** The error for a part of the spec; `data/flights.json:3:12: …`. */
export function specError(
  document: JsonDocument,
  pointer: string,
  what: string,
  detail: {
    given?: unknown;
    expected?: unknown;
    fix?: string;
    level?: string;
    atKey?: boolean;
    code?: "ERR_FOURFOLD_SPEC" | "ERR_FOURFOLD_WEIGHTS";
  } = {},
): FourfoldError {
  const place = detail.atKey ? document.keyAt(pointer) : document.valueAt(pointer);
  const { file } = document;
  return new FourfoldError(detail.code ?? "ERR_FOURFOLD_SPEC", `${file ?? "spec"}:${place.line}:${place.column}: ${what}`, {
    ...("given" in detail ? { given: detail.given } : {}),
    ...("expected" in detail ? { expected: detail.expected } : {}),
    ...(detail.fix === undefined ? {} : { fix: detail.fix }),
    at: { ...place, pointer, ...(file === undefined ? {} : { file }), ...(detail.level === undefined ? {} : { level: detail.level }) },
  });
}

/** Names as a message lists them: `"a", "b" or "c"`. */
export function oneOf(names: readonly string[]): string {
  const quoted = names.map((name) => JSON.stringify(name));
  return quoted.length < 2 ? quoted.join("") : `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}

/** The object at `pointer` with no keys but `known`. */
export function objectAt(
  document: JsonDocument,
  value: JsonValue | undefined,
  pointer: string,
  known: readonly string[],
  what: string,
): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw specError(document, pointer, `${what}: given ${show(value)}, expected an object`, { given: value, expected: "an object" });
  for (const key of Object.keys(value))
    if (!known.includes(key)) {
      const meant = nearest(key, known);
      throw specError(document, pointer + pointerStep(key), `${what} has no key ${show(key)}; known: ${known.join(", ")}`, {
        given: key,
        expected: known,
        atKey: true,
        ...(meant === undefined ? {} : { fix: `Did you mean "${meant}"?` }),
      });
    }
  return value;
}

/** The value of a key that must be there. */
export function required(document: JsonDocument, object: JsonObject, key: string, pointer: string, what: string): JsonValue {
  const value = object[key];
  if (value === undefined) throw specError(document, pointer, `${what} needs the key "${key}"`, { expected: key });
  return value;
}

/** A text that is not empty. */
export function textAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): string {
  if (typeof value !== "string" || value === "" || value.includes("\0"))
    throw specError(document, pointer, `${what}: given ${show(value)}, expected a text that is not empty`, {
      given: value,
      expected: "a text",
    });
  return value;
}

/** One of some words. */
export function choiceAt<T extends string>(
  document: JsonDocument,
  value: JsonValue,
  pointer: string,
  choices: readonly T[],
  what: string,
): T {
  if (choices.includes(value as T)) return value as T;
  const meant = typeof value === "string" ? nearest(value, choices) : undefined;
  throw specError(document, pointer, `${what}: given ${show(value)}, expected ${oneOf(choices)}`, {
    given: value,
    expected: choices,
    ...(meant === undefined ? {} : { fix: `Did you mean "${meant}"?` }),
  });
}

/** True or false. */
export function booleanAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): boolean {
  if (typeof value === "boolean") return value;
  throw specError(document, pointer, `${what}: given ${show(value)}, expected true or false`, { given: value, expected: [true, false] });
}
