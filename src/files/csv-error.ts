/** Where DuckDB's readers of text say that a file is wrong: they tell it in the lines of a message. Pure. */
import type { ErrorPosition } from "../errors.ts";

/** What is wrong, in one line, and where. */
export interface TextError {
  readonly text: string;
  readonly at: ErrorPosition;
}

/** Longer lines are cut: they are for people. */
const LENGTH_MAX = 300;

/** The place of an error of the readers of CSV and JSON, in a file or pattern that is called `subject`; undefined if it is of another kind. */
export function textError(message: string, subject: string): TextError | undefined {
  const named = (file: string | undefined): string => (file === undefined || file.endsWith(subject) ? subject : `${subject}: ${file}`);
  const json = /Malformed JSON in file "([^"\n]*)", at byte \d+ in (?:line|record\/value) (\d+): ([^\n]*)/.exec(message);
  if (json) {
    const [, file = "", line, what = ""] = json;
    return { text: `${named(file)}: line ${line}: ${cut(what.replace(/[.\s]+$/, ""))}`, at: { file, line: Number(line) } };
  }
  const line = /CSV Error on Line: (\d+)/.exec(message)?.[1];
  if (line === undefined) return undefined;
  const file = /^ {2}file = (.*)$/m.exec(message)?.[1];
  const column = /Error when converting column "([^"\n]*)"/.exec(message)?.[1];
  const what =
    /^(?:Error when converting|Expected Number of Columns|Value with unterminated|Invalid unicode|Maximum line size)[^\n]*/m.exec(
      message,
    )?.[0];
  return {
    text: `${named(file)}: line ${line}: ${cut(what ?? "the line cannot be read")}`,
    at: { ...(file === undefined ? {} : { file }), line: Number(line), ...(column === undefined ? {} : { column }) },
  };
}

const cut = (text: string): string => (text.length > LENGTH_MAX ? `${text.slice(0, LENGTH_MAX)}…` : text);
