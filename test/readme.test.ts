// Runs what the README and the runnable pages of docs/ show, as their readers would: against the built package, by its name.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { outputOf, packageFile, ROOT, runChild, runNode } from "./child.ts";
import { checksOf, SEAM } from "./markdown.ts";
import { departure } from "./printed.ts";

/** Where the programs lie: inside the package's folder, so that `import "fourfold"` finds the package itself. */
let folder = "";

/** A page of docs/ says with this line that its blocks run. */
const RUNNABLE = "<!-- runnable -->";

const docs = readdirSync(join(ROOT, "docs"))
  .filter((name) => name.endsWith(".md"))
  .map((name) => `docs/${name}`)
  .filter((file) => readFileSync(join(ROOT, file), "utf8").includes(RUNNABLE));
const pages = ["README.md", ...docs].map((file) => ({ file, checks: checksOf(readFileSync(join(ROOT, file), "utf8")) }));

const moduleName = (file: string, line: number) => `${file.replace(/\W/g, "-")}-${line}`;

beforeAll(async () => {
  if (!existsSync(join(ROOT, "dist/index.js"))) throw new Error("the package is not built: npm run build");
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  folder = mkdtempSync(join(ROOT, ".cache/readme-"));
  let typed = false;
  for (const { file, checks } of pages) {
    for (const check of checks) {
      if (check.kind !== "module") continue;
      typed ||= check.language === "ts";
      writeFileSync(join(folder, `${moduleName(file, check.line)}.${check.language === "ts" ? "mts" : "mjs"}`), check.source);
    }
  }
  if (!typed) return;
  const options = {
    target: "es2022",
    lib: ["es2023", "esnext.disposable"],
    module: "nodenext",
    strict: true,
    types: ["node"],
    noEmitOnError: true,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["*.mts"] }));
  await outputOf(runNode([packageFile("typescript", "bin/tsc"), "-p", folder]));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

for (const { file, checks } of pages) {
  describe(`${file} says what happens`, () => {
    for (const check of checks) {
      const title = `line ${check.line}`;
      if (check.kind === "module") {
        test(`${title}: the program runs`, async () => {
          const printed = await outputOf(runNode([join(folder, `${moduleName(file, check.line)}.mjs`)]));
          compare(printed.split(`${SEAM}\n`).at(-1)!, check.expected);
        });
      } else if (check.kind === "commands") {
        test(`${title}: the commands run`, async () => {
          // `npx fourfold` means the built command, without npm's half second and without its look at the registry.
          const command = `"${process.execPath}" "${join(ROOT, "dist/cli/main.js")}"`;
          compare(await outputOf(runChild("sh", ["-e", "-c", check.source.replaceAll("npx fourfold", command)])), check.expected);
        });
      } else if (check.kind === "json") {
        test(`${title}: the JSON is ${check.file ?? "valid"}`, () => {
          const value: unknown = JSON.parse(check.source);
          if (check.file !== undefined) expect(value).toEqual(JSON.parse(readFileSync(join(ROOT, check.file), "utf8")));
        });
      } else {
        test(`${title}: every block has a check`, () => expect.unreachable(check.why));
      }
    }

    test("it links to files that exist", () => {
      const text = readFileSync(join(ROOT, file), "utf8");
      const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map((match) => match[1]!);
      expect(links.filter((link) => !existsSync(join(ROOT, file, "..", link)))).toEqual([]);
    });
  });
}

function compare(printed: string, expected: string | undefined) {
  if (expected !== undefined) expect(departure(expected, printed)).toBeUndefined();
}
