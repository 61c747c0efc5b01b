// TensorFlow.js's own Jasmine specs of all operations, run on the backend "fourfold" in a process of their own.
import { readdirSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { outputOf, packageFile, ROOT, runNode } from "../child.ts";
import { FAILING_SPECS } from "./differences.ts";

interface Ran {
  /** Backends that kernels ran on. */
  readonly backends: readonly string[];
  readonly specs: readonly { readonly name: string; readonly status: string; readonly failures: readonly string[] }[];
}

/** The specs of @tensorflow/tfjs-core 4.22.0: those of our own operations by their suites, and all. */
const OWN = { sum: 20, mean: 17, max: 32, min: 29, prod: 21, matmul: 47, matmulBatch: 14, dot: 11, einsum: 31, unsortedSegmentSum: 12 };
const ALL = 3473;

let ran: Ran;
beforeAll(async () => {
  const files = readdirSync(packageFile("@tensorflow/tfjs-core", "dist/ops"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith("_test.js"))
    .sort();
  const child = runNode(["test/tfjs/specs-child.mjs", "fourfold", ...files], { cwd: ROOT, timeoutMs: 300_000 });
  ran = JSON.parse((await outputOf(child)).trim().split("\n").at(-1)!) as Ran;
}, 300_000);

describe("TensorFlow.js's specs on the backend fourfold", () => {
  test("ran on it alone", () => expect(ran.backends).toEqual(["fourfold"]));

  test("all pass but those that are listed with a reason", () => {
    const failed = ran.specs.filter(({ status }) => status !== "passed").map(({ name, status, failures }) => [name, status, ...failures]);
    expect(failed.filter(([name]) => !(name! in FAILING_SPECS))).toEqual([]);
    expect(failed.map(([name]) => name).sort()).toEqual(Object.keys(FAILING_SPECS).sort());
  });

  test.each(Object.entries(OWN))("of %s: %i ran", (suite, count) => {
    expect(ran.specs.filter(({ name }) => name.startsWith(`${suite} fourfold `))).toHaveLength(count);
  });

  test(`in all ${ALL} ran`, () => expect(ran.specs).toHaveLength(ALL));
});
