/** Where an item of a source stands, and the error that says what is wrong with it. */
import { FourfoldError } from "../errors.ts";

export interface Place {
  /** The source's. */
  readonly name: string;
  readonly from: number;
  readonly next: number;
}

export function wrong({ name, from }: Place, problem: string, fix: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_RECORD", `item ${from} of "${name}" ${problem}`, { fix, at: { file: name, index: from } });
}
