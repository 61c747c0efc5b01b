// What a call that must fail throws: for tests about errors.
import { expect } from "vitest";
import { FourfoldError } from "../src/errors.ts";

/** The FourfoldError of a call, or of its promise, which must fail with one. */
export async function failing(call: () => unknown): Promise<FourfoldError> {
  let value: unknown;
  try {
    value = await call();
  } catch (error) {
    // Two copies of the class meet in these tests: of the sources, and of the build that workers load.
    if ((error as Error | undefined)?.constructor?.name !== FourfoldError.name) throw error;
    return error as FourfoldError;
  }
  return expect.fail(`it gave ${String(value)} instead of failing`);
}

/** The bits of numbers, as text that compares and reads well. */
export function hex(values: ArrayLike<number>): string[] {
  const view = new DataView(new ArrayBuffer(8));
  return Array.from(values, (value) => {
    view.setFloat64(0, value);
    return view.getBigUint64(0).toString(16).padStart(16, "0");
  });
}
