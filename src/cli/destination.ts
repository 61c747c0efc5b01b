/** Where an answer goes: stdout, or a file that is written whole or not at all. */
import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { throwIfAborted } from "../errors.ts";
import { outputFile, type Pieces } from "../files/index.ts";

/** A place for an answer. */
export interface Destination {
  /** Whether its reader sees colours. */
  readonly colour: boolean;
  write(pieces: Pieces, signal: AbortSignal): Promise<void>;
}

/** True if `out` is the terminal that somebody looks at. */
export function isTerminal(out: string | undefined): boolean {
  return (out === undefined || out === "-") && process.stdout.isTTY === true;
}

/**
 * The place that --out names, or stdout. What can be known to be wrong with a file is found now, before the work.
 * @throws FourfoldError ERR_FOURFOLD_OUTPUT
 */
export async function openDestination(out: string | undefined): Promise<Destination> {
  if (out === undefined || out === "-")
    return { colour: isTerminal(out) && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb", write: toStdout };
  const file = await outputFile(out);
  const write = async (pieces: Pieces, signal: AbortSignal): Promise<void> => {
    process.once("exit", file.discard); // a second Ctrl-C ends the process at once
    await file.write(pieces, signal).finally(() => process.off("exit", file.discard));
  };
  return { colour: false, write };
}

async function toStdout(pieces: Pieces, signal: AbortSignal): Promise<void> {
  for (const piece of pieces) {
    throwIfAborted(signal);
    if (piece.length === 0)
      await turn(); // the maker of the pieces works for long
    else if (!process.stdout.write(piece)) await once(process.stdout, "drain", { signal });
  }
}
