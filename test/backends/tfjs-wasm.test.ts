import { describe } from "vitest";
import { tensorSuite } from "./tensors.ts";

describe("backend tfjs-wasm", () => tensorSuite("tfjs-wasm"));
