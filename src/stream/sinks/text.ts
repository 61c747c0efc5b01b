/** A sink of text, whatever the format: pieces of results to a file or a Writable. */
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { badOption, checkNames, FourfoldError } from "../../errors.ts";
import { chosenLevels, type RowLevel } from "../../reduce/rows.ts";
import type { Sink, StreamResult } from "../types.ts";
import { FileOutput } from "./file-output.ts";
import { WritableOutput } from "./writable-output.ts";

/** Texts are gathered to pieces of about this many characters, so that a row does not cost a write. */
const PIECE = 1 << 16;

/** Options of {@link ndjsonSink} and {@link csvSink}. */
export interface TextSinkOptions {
  /** The levels whose nodes become rows: their names, or `"all"` that the stream keeps. Default: the outermost. */
  readonly levels?: "all" | readonly string[];
}

/** How results are written. */
export interface TextFormat {
  readonly name: string;
  /** What a file begins with. */
  header(levels: readonly RowLevel[]): string;
  /** The lines of a result. */
  lines(result: StreamResult, levels: readonly RowLevel[]): Iterable<string>;
}

/** A sink that writes in `format`. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function textSink(to: string | URL | Writable, options: TextSinkOptions, format: TextFormat): Sink {
  const what = `${format.name}Sink`;
  checkNames(what, options, ["levels"]);
  const { levels: wanted } = options;
  if (wanted !== undefined && wanted !== "all" && !(Array.isArray(wanted) && wanted.every((name) => typeof name === "string")))
    throw badOption("levels", wanted, '"all" or a list of names of levels');
  let levels: readonly RowLevel[] = [];
  const piecesOf = (results: readonly StreamResult[]): Iterable<string> => pieces(results, levels, format);
  if (isWritable(to)) {
    const output = new WritableOutput(to);
    return {
      async open(_, context) {
        levels = chosenLevels(what, context.levels, wanted);
        await output.open(format.header(levels));
      },
      write: (results) => output.write(piecesOf(results)),
      async flush() {
        await output.flush();
        return { sink: `${format.name} to a Writable` };
      },
      close: () => output.close(),
    };
  }
  const output = new FileOutput(pathOf(what, to), format.name);
  return {
    async open(position, context) {
      levels = chosenLevels(what, context.levels, wanted);
      await output.open(position, format.header(levels));
    },
    write: (results) => output.write(piecesOf(results)),
    flush: () => output.flush(),
    close: () => output.close(),
  };
}

/** Writables made by other copies of the stream library count, too. */
function isWritable(to: unknown): to is Writable {
  return to instanceof Writable || (typeof to === "object" && to !== null && "write" in to && "on" in to && "writableNeedDrain" in to);
}

function pathOf(what: string, to: unknown): string {
  try {
    const path = to instanceof URL ? fileURLToPath(to) : to;
    if (typeof path === "string" && path !== "" && !path.includes("\0")) return path;
  } catch {
    // A URL of something else than a file.
  }
  throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${what}: the first argument is no path of a file and no Writable`, {
    given: to,
    expected: "a path, a file: URL, or a Writable",
    fix: `${what}("results.${what === "csvSink" ? "csv" : "ndjson"}"), or ${what}(process.stdout)`,
  });
}

function* pieces(results: readonly StreamResult[], levels: readonly RowLevel[], format: TextFormat): Generator<string, void, undefined> {
  let piece = "";
  for (const result of results)
    for (const line of format.lines(result, levels)) {
      piece += line;
      if (piece.length < PIECE) continue;
      yield piece;
      piece = "";
    }
  if (piece !== "") yield piece;
}
