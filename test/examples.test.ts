// Runs every program in examples/ as its own process. Each one ends with a comment that says what it prints (see printed.ts for `…`).
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { outputOf, ROOT, runNode } from "./child.ts";
import { departure } from "./printed.ts";

const PRINTS = "\n// Prints:\n";

describe("every example prints what it says", () => {
  test.each(readdirSync(join(ROOT, "examples")).filter((name) => name.endsWith(".mjs")))("%s", async (name) => {
    const source = readFileSync(join(ROOT, "examples", name), "utf8");
    expect(source, `the last lines of ${name} are "// Prints:" and what it prints`).toContain(PRINTS);
    const expected = source
      .split(PRINTS)
      .at(-1)!
      .replace(/^\/\/ ?/gm, "");
    expect(departure(expected, await outputOf(runNode([join("examples", name)])))).toBeUndefined();
  });
});
