import { describe } from "vitest";
import { tensorSuite } from "./tensors.ts";

describe("backend tfjs-cpu", () => tensorSuite("tfjs-cpu"));
