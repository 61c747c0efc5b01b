// The native library, where it is set up: npx fourfold setup tensorflow.
import { describe } from "vitest";
import { absence, tensorSuite } from "./tensors.ts";

const absent = await absence("tensorflow");
describe.skipIf(absent !== undefined)(`backend tensorflow${absent === undefined ? "" : ` (skipped: ${absent})`}`, () =>
  tensorSuite("tensorflow"),
);
