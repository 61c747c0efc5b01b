/** Keys as UTF-8. */
import { FourfoldError, show } from "../../errors.ts";

/** @throws FourfoldError ERR_FOURFOLD_OUTPUT for text that UTF-8 cannot say: half of a surrogate pair */
export function utf8(text: string): Buffer {
  if (/\p{Surrogate}/u.test(text))
    throw new FourfoldError("ERR_FOURFOLD_OUTPUT", `the text ${show(text)} has half of a surrogate pair, which UTF-8 cannot say`, {
      given: text,
      fix: "Write JSON or NDJSON, or make the keys well-formed: key.toWellFormed()",
    });
  return Buffer.from(text, "utf8");
}
