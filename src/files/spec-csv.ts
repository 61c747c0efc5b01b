/** How a spec says that CSV is read. All of it is checked values: nothing here reaches SQL but as a quoted literal. */
import { show } from "../errors.ts";
import { type JsonDocument, type JsonValue, pointerStep } from "./json.ts";
import { booleanAt, objectAt, specError, textAt } from "./spec-checks.ts";

/** How CSV is read where it does not tell by itself. */
export interface CsvOptions {
  /** 1 to 4 bytes. */
  readonly delimiter?: string;
  /** One character, or none at all. */
  readonly quote?: string;
  readonly escape?: string;
  readonly header?: boolean;
  /** Texts that are null. */
  readonly nullText?: readonly string[];
  /** Types by column; without a header all columns, in order. */
  readonly columns?: Readonly<Record<string, string>>;
}

const CSV_KEYS = ["delimiter", "quote", "escape", "header", "nullText", "columns"];
/** Types that a column of text can be read as: those that are values or keys. */
const CSV_TYPES = [
  ..."BOOLEAN TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT FLOAT DOUBLE VARCHAR".split(" "),
  ..."DATE TIME TIMESTAMP TIMESTAMPTZ UUID".split(" "),
];
/** A limit on everything: a table with more columns is another tool's work. */
const COLUMNS_MAX = 10_000;
/** What DuckDB takes as a delimiter. */
const DELIMITER_BYTES_MAX = 4;

/** Checks the part "csv" of a source. @throws FourfoldError ERR_FOURFOLD_SPEC */
export function csvAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): CsvOptions {
  const object = objectAt(document, value, pointer, CSV_KEYS, what);
  const mark = (key: "quote" | "escape"): Partial<CsvOptions> => {
    const given = object[key];
    if (given === undefined) return {};
    // One byte, or none at all.
    if (typeof given !== "string" || !/^[\t -~]?$/.test(given))
      throw specError(
        document,
        `${pointer}/${key}`,
        `${what}, "${key}": given ${show(given)}, expected one ASCII character, or "" for none`,
        {
          given,
          expected: "one character",
        },
      );
    return { [key]: given };
  };
  const header = object["header"];
  return {
    ...(object["delimiter"] === undefined ? {} : { delimiter: delimiterAt(document, object["delimiter"], `${pointer}/delimiter`, what) }),
    ...mark("quote"),
    ...mark("escape"),
    ...(header === undefined ? {} : { header: booleanAt(document, header, `${pointer}/header`, `${what}, "header"`) }),
    ...(object["nullText"] === undefined ? {} : { nullText: nullTextAt(document, object["nullText"], `${pointer}/nullText`, what) }),
    ...(object["columns"] === undefined ? {} : { columns: columnsAt(document, object["columns"], `${pointer}/columns`, what) }),
  };
}

function delimiterAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): string {
  const text = textAt(document, value, pointer, `${what}, "delimiter"`);
  if (Buffer.byteLength(text) > DELIMITER_BYTES_MAX || /[\r\n"]/.test(text))
    throw specError(
      document,
      pointer,
      `${what}, "delimiter": given ${show(text)}, expected 1 to ${DELIMITER_BYTES_MAX} bytes that end no line`,
      {
        given: text,
        expected: "a delimiter",
      },
    );
  return text;
}

function nullTextAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): readonly string[] {
  const list = Array.isArray(value) ? value : [value];
  return list.map((text, i) => {
    if (typeof text === "string" && !text.includes("\0")) return text;
    throw specError(
      document,
      Array.isArray(value) ? pointer + pointerStep(i) : pointer,
      `${what}, "nullText": given ${show(text)}, expected a text, or a list of texts`,
      {
        given: text,
        expected: "a text",
      },
    );
  });
}

function columnsAt(document: JsonDocument, value: JsonValue, pointer: string, what: string): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null || Array.isArray(value) || Object.keys(value).length === 0)
    throw specError(document, pointer, `${what}, "columns": given ${show(value)}, expected names with types`, {
      given: value,
      fix: '"columns": { "id": "BIGINT", "price": "DECIMAL(18,2)" }',
    });
  const names = Object.keys(value);
  if (names.length > COLUMNS_MAX)
    throw specError(document, pointer, `${what}, "columns": ${names.length} columns, at most ${COLUMNS_MAX}`, { given: names.length });
  for (const name of names) {
    const place = pointer + pointerStep(name);
    const type = value[name];
    if (name === "" || name.includes("\0"))
      throw specError(document, place, `${what}, "columns": a column needs a name`, { given: name, atKey: true });
    if (typeof type === "string" && (CSV_TYPES.includes(type) || isDecimal(type))) continue;
    throw specError(document, place, `${what}, "columns": the type of ${show(name)} is ${show(type)}, which is none of a column of text`, {
      given: type,
      expected: [...CSV_TYPES, "DECIMAL(p,s)"],
      fix: `Types are ${CSV_TYPES.join(", ")} and DECIMAL(p,s)`,
    });
  }
  return value as Readonly<Record<string, string>>;
}

function isDecimal(type: string): boolean {
  const [, digits, scale] = /^DECIMAL\((\d{1,2}), ?(\d{1,2})\)$/.exec(type) ?? [];
  return digits !== undefined && Number(digits) >= 1 && Number(digits) <= 38 && Number(scale) <= Number(digits);
}
