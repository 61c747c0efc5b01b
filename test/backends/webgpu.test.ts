// A GPU through Dawn, where it is set up: npx fourfold setup webgpu. A software driver will do.
import { describe } from "vitest";
import { absence, tensorSuite } from "./tensors.ts";

const absent = await absence("webgpu");
describe.skipIf(absent !== undefined)(`backend webgpu${absent === undefined ? "" : ` (skipped: ${absent})`}`, () => tensorSuite("webgpu"));
