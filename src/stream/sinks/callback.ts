/** Results to a function. */
import { badOption, FourfoldError } from "../../errors.ts";
import type { Sink, StreamResult } from "../types.ts";

/**
 * A sink that calls a function for each result, one after the other, and waits for what it returns. After a crash results are given again from the
 * last checkpoint, with the same ids. What the function throws ends the stream with ERR_FOURFOLD_OUTPUT and stands in its `cause`.
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT
 * @example callbackSink(async (result) => await table.upsert(result.id, result.value))
 */
export function callbackSink(take: (result: StreamResult) => void | Promise<void>): Sink {
  if (typeof take !== "function") throw badOption("callback", take, "a function");
  return {
    async write(results) {
      for (const result of results)
        try {
          await take(result);
        } catch (cause) {
          throw new FourfoldError(
            "ERR_FOURFOLD_OUTPUT",
            `the callback did not take result ${JSON.stringify(result.id)}: ${messageOf(cause)}`,
            {
              given: result.id,
              fix: "The stream goes on from the last checkpoint, and gives it again",
              cause,
            },
          );
        }
    },
  };
}

/** One line: messages of errors have no other. */
function messageOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0]!;
}
