import { tensorSuite } from "./tensors.ts";

tensorSuite("tfjs-wasm");
