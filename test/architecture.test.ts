// The layers of CONTRIBUTING.md are lint rules. These tests run the linter on files that break them, because a rule that
// matches nothing passes in silence.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packageFile, ROOT, runNode } from "./child.ts";

/** For a file of each layer: what it may import, and what it may not. */
const LAYERS: Readonly<Record<string, { readonly may: readonly string[]; readonly mayNot: readonly string[] }>> = {
  "src/types.ts": {
    may: [],
    mayNot: ["./errors.ts", "./engine.ts", "./reduce/chain.ts", "node:fs"],
  },
  "src/errors.ts": {
    may: ["./types.ts"],
    mayNot: ["./index.ts", "./reduce/chain.ts", "node:util", "@duckdb/node-api"],
  },
  "src/engine.ts": {
    may: ["./types.ts", "./reduce/a.ts", "./schedule/a.ts", "./backends/a.ts", "./stream/a.ts", "./files/a.ts", "node:os"],
    mayNot: ["@tensorflow/tfjs-core", "@tensorflow/tfjs-core/dist/ops.js", "node:worker_threads", "@duckdb/node-api"],
  },
  "src/reduce/probe.ts": {
    may: ["./a.ts", "../types.ts", "../errors.ts"],
    mayNot: [
      "../schedule/a.ts",
      "../backends/a.ts",
      "../engine.ts",
      "../index.ts",
      "../../bench/a.ts",
      "node:fs",
      "fs",
      "@duckdb/node-api",
      "fast-check",
    ],
  },
  "src/schedule/probe.ts": {
    may: ["./a.ts", "../reduce/a.ts", "../types.ts", "../errors.ts"],
    mayNot: ["../backends/a.ts", "../files/a.ts", "../engine.ts", "../index.ts", "node:os", "os", "@tensorflow/tfjs-core"],
  },
  "src/backends/probe.ts": {
    may: ["./a.ts", "../reduce/a.ts", "../types.ts", "../errors.ts", "node:os"],
    mayNot: [
      "../schedule/a.ts",
      "../files/a.ts",
      "../stream/a.ts",
      "../cli/a.ts",
      "../engine.ts",
      "../index.ts",
      "node:worker_threads",
      "@tensorflow/tfjs-core",
      "@duckdb/node-api",
    ],
  },
  "src/backends/tfjs.ts": {
    may: ["./a.ts", "../reduce/a.ts", "../types.ts", "../errors.ts", "@tensorflow/tfjs-core", "@tensorflow/tfjs-node"],
    mayNot: ["../schedule/a.ts", "../engine.ts", "node:worker_threads", "@duckdb/node-api"],
  },
  "src/backends/workers.ts": {
    may: ["./a.ts", "../reduce/a.ts", "../types.ts", "../errors.ts", "node:worker_threads"],
    mayNot: ["../schedule/a.ts", "../engine.ts", "@tensorflow/tfjs-core", "@duckdb/node-api"],
  },
  "src/backends/crew.ts": { may: ["node:worker_threads"], mayNot: ["../engine.ts", "@tensorflow/tfjs-core"] },
  "src/backends/worker.ts": { may: ["node:worker_threads"], mayNot: ["../engine.ts", "@tensorflow/tfjs-core"] },
  "src/backends/tensors.ts": { may: ["./tfjs.ts", "node:worker_threads"], mayNot: ["../engine.ts", "@tensorflow/tfjs-core"] },
  "src/backends/tensor-worker.ts": { may: ["./tfjs.ts", "node:worker_threads"], mayNot: ["../engine.ts", "@tensorflow/tfjs-node"] },
  "src/backends/serve.ts": { may: ["node:worker_threads"], mayNot: ["../engine.ts", "@tensorflow/tfjs-core"] },
  "src/arrow/probe.ts": {
    may: ["./a.ts", "../types.ts", "../errors.ts"],
    mayNot: ["../reduce/a.ts", "../stream/a.ts", "../files/a.ts", "../engine.ts", "node:fs", "@duckdb/node-api", "apache-arrow"],
  },
  "src/durable/probe.ts": {
    may: ["./a.ts", "../reduce/a.ts", "../types.ts", "../errors.ts", "node:fs/promises"],
    mayNot: ["../stream/a.ts", "../files/a.ts", "../engine.ts", "node:worker_threads", "@tensorflow/tfjs-core", "@duckdb/node-api"],
  },
  "src/stream/probe.ts": {
    may: ["./a.ts", "../reduce/a.ts", "../arrow/a.ts", "../durable/a.ts", "../types.ts", "../errors.ts", "node:stream"],
    mayNot: ["../backends/a.ts", "../files/a.ts", "../engine.ts", "node:worker_threads", "@tensorflow/tfjs-core", "@duckdb/node-api"],
  },
  "src/stream/sources/probe.ts": {
    may: [
      "./a.ts",
      "../types.ts",
      "../../reduce/a.ts",
      "../../arrow/a.ts",
      "../../durable/a.ts",
      "../../types.ts",
      "../../errors.ts",
      "node:net",
    ],
    mayNot: [
      "../../backends/a.ts",
      "../../files/a.ts",
      "../../engine.ts",
      "../../index.ts",
      "node:worker_threads",
      "@tensorflow/tfjs-core",
      "@duckdb/node-api",
    ],
  },
  "src/files/probe.ts": {
    may: [
      "./a.ts",
      "../reduce/a.ts",
      "../arrow/a.ts",
      "../durable/a.ts",
      "../types.ts",
      "../errors.ts",
      "node:fs/promises",
      "@duckdb/node-api",
    ],
    mayNot: [
      "../schedule/a.ts",
      "../backends/a.ts",
      "../stream/a.ts",
      "../cli/a.ts",
      "../engine.ts",
      "../index.ts",
      "node:worker_threads",
      "@tensorflow/tfjs-core",
    ],
  },
  "src/files/outputs/probe.ts": {
    may: ["./a.ts", "../types.ts", "../../reduce/a.ts", "../../types.ts", "../../errors.ts", "node:fs/promises", "@duckdb/node-api"],
    mayNot: [
      "../../backends/a.ts",
      "../../stream/a.ts",
      "../../engine.ts",
      "../../index.ts",
      "node:worker_threads",
      "@tensorflow/tfjs-core",
    ],
  },
  "src/cli/probe.ts": {
    may: [
      "./a.ts",
      "../engine.ts",
      "../index.ts",
      "../files/index.ts",
      "../stream/index.ts",
      "../reduce/a.ts",
      "../types.ts",
      "../errors.ts",
      "node:util",
    ],
    mayNot: [
      "../backends/a.ts",
      "../schedule/a.ts",
      "../stream/a.ts",
      "../files/read.ts",
      "node:worker_threads",
      "@tensorflow/tfjs-core",
      "@duckdb/node-api",
    ],
  },
  "src/cluster/probe.ts": {
    may: ["./a.ts", "../engine.ts", "../index.ts", "../reduce/a.ts", "../types.ts", "../errors.ts", "node:net"],
    mayNot: ["../backends/a.ts", "../schedule/a.ts", "../cli/a.ts", "node:worker_threads", "@tensorflow/tfjs-core", "@duckdb/node-api"],
  },
  "examples/probe.mjs": { may: ["fourfold", "fourfold/files", "./a.mjs"], mayNot: ["../src/index.ts", "../dist/index.js"] },
};

/** Ways to write an import; each of them is seen. */
const FORMS: readonly string[] = [
  'import "../engine.ts";',
  'import { a } from "../engine.ts";',
  'import type { A } from "../engine.ts";',
  'import * as all from "../engine.ts";',
  'export * from "../engine.ts";',
  'export type { B } from "../engine.ts";',
  'export const later = () => import("../engine.ts");',
];

/** What the pure folders may not do, and the rule that says so. */
const IMPURE: readonly (readonly [line: string, rule: string])[] = [
  ["export const a = Math.random();", "plugin"],
  ["export const b = Date.now();", "lint/style/noRestrictedGlobals"],
  ["export const c = new Date();", "lint/style/noRestrictedGlobals"],
  ["export const d = performance.now();", "lint/style/noRestrictedGlobals"],
  ["export const e = process.env;", "lint/style/noRestrictedGlobals"],
  ["export const f = setTimeout(() => {}, 1);", "lint/style/noRestrictedGlobals"],
  ["export const g = crypto.randomUUID();", "lint/style/noRestrictedGlobals"],
  ['export const h = fetch("");', "lint/style/noRestrictedGlobals"],
  ["export const i = new Promise(() => {});", "lint/style/noRestrictedGlobals"],
  ["export const j = navigator.hardwareConcurrency;", "lint/style/noRestrictedGlobals"],
  ["export async function k() {}", "plugin"],
  ["export const l = async () => 1;", "plugin"],
  ["export class O { async o() { return 1; } }", "lint/suspicious/useAwait"],
  ["export const m = async (x) => await x;", "plugin"],
  ['export const n = () => import("./a.ts");', "plugin"],
  ["export const p = Buffer.alloc(1);", "lint/style/noRestrictedGlobals"],
  ["export const q = globalThis;", "lint/style/noRestrictedGlobals"],
  ["queueMicrotask(() => {});", "lint/style/noRestrictedGlobals"],
  ["setImmediate(() => {});", "lint/style/noRestrictedGlobals"],
  ["setInterval(() => {}, 1);", "lint/style/noRestrictedGlobals"],
  ["console.log(1);", "lint/suspicious/noConsole"],
];

interface Diagnostic {
  readonly category: string;
  readonly location: { readonly path: string; readonly start: { readonly line: number } };
}

const IMPORTS = "lint/style/noRestrictedImports";
let folder = "";
let found: readonly Diagnostic[] = [];

/** The lines of `file` with a diagnostic of `rule`, each once, counted from 1. */
const lines = (file: string, rule: string): number[] =>
  [...new Set(found.filter((d) => d.location.path === file && d.category === rule).map((d) => d.location.start.line))].sort(
    (a, b) => a - b,
  );

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "fourfold-lint-"));
  const write = (file: string, text: readonly string[]) => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), `${text.join("\n")}\n`);
  };
  for (const file of ["biome.jsonc", "package.json", "scripts/lint"]) cpSync(join(ROOT, file), join(folder, file), { recursive: true });
  for (const [file, { may, mayNot }] of Object.entries(LAYERS))
    write(
      file,
      [...may, ...mayNot].map((from) => `import "${from}";`),
    );
  write("src/stream/forms.ts", FORMS);
  write("src/stream/template.ts", ["export const later = () => import(`../engine.ts`);"]);
  for (const pure of ["reduce", "schedule"])
    write(
      `src/${pure}/impure.ts`,
      IMPURE.map(([line]) => line),
    );
  write("src/stream/clock.ts", ["export const now = Date.now() + Math.random();", "export const later = async () => await now;"]);
  for (const layer of ["stream", "cli"]) write(`src/${layer}/print.ts`, ["console.log(1);"]);
  write("src/stream/left.ts", ['import { b } from "./right.ts";', "export const a = () => b;"]);
  write("src/stream/right.ts", ['import { a } from "./left.ts";', "export const b = () => a;"]);
  write("src/stream/east.ts", ['import type { B } from "./west.ts";', "export type A = B[];"]);
  write("src/stream/west.ts", ['import type { A } from "./east.ts";', "export type B = A[];"]);
  write("src/stream/engine.ts", [
    "export interface Engine { run(): Promise<number> }",
    "export async function start(): Promise<Engine> { return { run: async () => 1 }; }",
  ]);
  write("src/stream/floating.ts", [
    'import { type Engine, start } from "./engine.ts";',
    "start();",
    "export const a = (engine: Engine) => { engine.run(); };",
    "export const b = async (engine: Engine) => { await engine.run(); void engine.run(); };",
  ]);
  const biome = packageFile("@biomejs/biome", "bin/biome");
  const { stdout, stderr } = await runNode([biome, "lint", "--reporter=json", "--max-diagnostics=none"], { cwd: folder });
  if (!stdout.startsWith("{")) throw new Error(stderr);
  found = (JSON.parse(stdout) as { diagnostics: Diagnostic[] }).diagnostics;
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("each layer imports what it may and nothing else", () => {
  test.each(Object.entries(LAYERS))("%s", (file, { may, mayNot }) => {
    expect(lines(file, IMPORTS)).toEqual(mayNot.map((_, i) => may.length + i + 1));
  });

  test("every folder of src/ has a row in the table above", () => {
    const folders = readdirSync(join(ROOT, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const rows = new Set(Object.keys(LAYERS).map((file) => dirname(file)));
    expect(folders.map(({ name }) => `src/${name}`).filter((name) => !rows.has(name))).toEqual([]);
  });

  test("every way to write an import is seen", () => {
    expect(lines("src/stream/forms.ts", IMPORTS)).toEqual(FORMS.map((_, i) => i + 1));
    expect(lines("src/stream/template.ts", "lint/style/noUnusedTemplateLiteral")).toEqual([1]);
  });

  test('the one way the linter does not see, a type written import("…").Name, is not used', () => {
    const files = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
    const hidden = /(?<!await )\bimport\("[^"]*"\)\.(?!then\b|catch\b)/;
    expect(files.filter((name) => hidden.test(readFileSync(join(ROOT, "src", name), "utf8")))).toEqual([]);
  });
});

describe("src/reduce/ and src/schedule/ are pure", () => {
  for (const pure of ["reduce", "schedule"]) {
    test.each(IMPURE)(`src/${pure}/ may not: %s`, (line, rule) => {
      expect(lines(`src/${pure}/impure.ts`, rule)).toContain(IMPURE.findIndex(([text]) => text === line) + 1);
    });
  }

  test("the other folders may read the clock and wait", () => {
    expect(found.filter((d) => d.location.path === "src/stream/clock.ts")).toEqual([]);
  });
});

describe("the other rules that hold the code together bite", () => {
  test("imports make no cycle, not even of types", () => {
    for (const file of ["left", "right", "east", "west"])
      expect(lines(`src/stream/${file}.ts`, "lint/suspicious/noImportCycles")).toEqual([1]);
  });

  test("a promise is awaited or marked void", () => {
    expect(lines("src/stream/floating.ts", "lint/nursery/noFloatingPromises")).toEqual([2, 3]);
  });

  test("the library prints nothing, the command does", () => {
    for (const [layer, expected] of [
      ["stream", [1]],
      ["cli", []],
    ] as const)
      expect(lines(`src/${layer}/print.ts`, "lint/suspicious/noConsole")).toEqual(expected);
  });

  test("no file mutes the linter or the compiler for a line", () => {
    const mutes = /(biome|@ts)-(ignore|nocheck|expect-error)/;
    const files = ["src", "test", "bench", "scripts", "examples"].flatMap((name) =>
      readdirSync(join(ROOT, name), { recursive: true, encoding: "utf8" }).map((file) => join(name, file)),
    );
    const sources = files.filter((file) => /\.(ts|mjs|js)$/.test(file) && file !== join("test", "architecture.test.ts"));
    expect(sources.filter((file) => mutes.test(readFileSync(join(ROOT, file), "utf8")))).toEqual([]);
  });
});
