/** How the files of a spec are read: the options of `run` and `explain` on untrusted and damaged files, and what is said of rows left out. */
import type { LoadOptions, OnError } from "../files/index.ts";
import type { RejectedRows } from "../reduce/grouped.ts";
import { choice, usageError, wholeNumber } from "./args.ts";
import { harmless } from "./failure.ts";

/** What the command line holds of them. */
interface Given {
  readonly untrusted?: boolean;
  readonly check?: boolean;
  readonly "deadline-ms"?: string;
  readonly "on-error"?: string;
  readonly quarantine?: string;
}

/** What they say; only what was given is set. */
export type ReadingQuestion = Pick<LoadOptions, "untrusted" | "check" | "deadlineMsMax" | "onError" | "quarantine">;

/** Reads the options, as far as the command line alone can tell. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function readReading(values: Given): ReadingQuestion {
  const { untrusted, check, quarantine } = values;
  const onError = choice<OnError>("on-error", values["on-error"], ["stop", "skip", "quarantine"]);
  const deadlineMsMax = wholeNumber("deadline-ms", values["deadline-ms"]);
  if (deadlineMsMax !== undefined && !untrusted)
    throw usageError("--deadline-ms belongs to untrusted files", "Add --untrusted", deadlineMsMax);
  if (onError === "quarantine" && quarantine === undefined)
    throw usageError("--on-error quarantine needs a file for the rows", "Add --quarantine FILE", onError);
  if (onError !== "quarantine" && quarantine !== undefined)
    throw usageError("--quarantine takes the rows of --on-error quarantine", "Add --on-error quarantine", quarantine);
  return {
    ...(untrusted === true && { untrusted }),
    ...(check === true && { check }),
    ...(deadlineMsMax !== undefined && { deadlineMsMax }),
    ...(onError !== undefined && { onError }),
    ...(quarantine !== undefined && { quarantine }),
  };
}

/** What was left out of a table, for stderr; nothing where nothing was. */
export function rejectedInWords(rejected: RejectedRows | undefined): string {
  if (rejected === undefined || rejected.rows + rejected.files === 0) return "";
  const { rows, files, first } = rejected;
  const counts = [counted(rows, "row"), counted(files, "file")].filter((words) => words !== "").join(" and ");
  const told = first.map(({ source, line, row, message, code }) => {
    const place = line !== null ? `:${line}` : row !== null ? `, row ${row}` : "";
    const what = message.startsWith(source) ? message : `${source}${place}: ${message}`;
    return `  ${harmless(what)} [${code}]\n`;
  });
  const more = rows + files > first.length ? `  and ${(rows + files - first.length).toLocaleString("en")} more\n` : "";
  return `fourfold: ${counts} left out\n${told.join("")}${more}`;
}

const counted = (n: number, word: string): string => (n === 0 ? "" : `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`);
