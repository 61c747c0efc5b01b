/** What becomes of 64-bit integers, which float64 does not hold beyond 2^53. */
import { badOption } from "../errors.ts";

/**
 * `"exact"`: an integer beyond ±2^53 is an error that says where it is; `"number"`: it becomes the nearest float64; `"reject"`: no
 * column of 64-bit integers is taken at all.
 */
export type Int64Policy = "exact" | "number" | "reject";

/** The policy of a caller, `"exact"` by default. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function int64PolicyOf(given: Int64Policy | undefined): Int64Policy {
  const policy = given ?? "exact";
  if (policy !== "exact" && policy !== "number" && policy !== "reject") throw badOption("int64", given, '"exact", "number" or "reject"');
  return policy;
}
