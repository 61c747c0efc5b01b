// The package as a user gets it: packed, installed into an empty project without network and without optional packages, and used
// by its name there. It tests the built files: `npm test` builds first.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { outputOf, packageFile, ROOT, runChild, runNode } from "./child.ts";

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

let folder = "";
let packed: Packed;
let tarball = "";
/** The empty project. */
let project = "";

const write = (name: string, text: string) => writeFileSync(join(project, name), text);

beforeAll(async () => {
  if (!existsSync(join(ROOT, "dist/index.js"))) throw new Error("the package is not built: npm run build");
  folder = mkdtempSync(join(tmpdir(), "fourfold-package-"));
  project = join(folder, "project");
  mkdirSync(project);
  [packed] = JSON.parse(await outputOf(runChild("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder]))) as [Packed];
  tarball = join(folder, packed.filename);
  write("package.json", JSON.stringify({ name: "project", private: true, type: "module" }));
  const install = ["install", "--offline", "--omit=optional", "--no-audit", "--no-fund", "--cache", join(folder, "cache"), tarball];
  await outputOf(runChild("npm", install, { cwd: project }));
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the packed package", () => {
  test("holds what users need and nothing else", () => {
    const paths = packed.files.map(({ path }) => path);
    const allowed =
      /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|dist\/[\w/-]+(\.js|\.d\.ts|\.h|\.wasm|\.schema\.json)|docs\/[\w/-]+\.md|examples\/[\w/-]+\.(mjs|json|csv|npy)|python\/\w+\.py)$/;
    expect(paths.filter((path) => !allowed.test(path) || /\btest\b/.test(path))).toEqual([]);
    expect(paths).toEqual(
      expect.arrayContaining([
        "README.md",
        "LICENSE",
        "dist/index.js",
        "dist/index.d.ts",
        "dist/files/index.js",
        "dist/stream/index.js",
        "dist/tfjs.js",
        "dist/cli/main.js",
        "dist/kernels.wasm",
      ]),
    );
  });

  test("is small: under 1 MiB as a download", () => expect(packed.size).toBeLessThan(2 ** 20));

  test("names no place of the machine that built it", () => {
    const named = packed.files.filter(({ path }) => {
      const text = readFileSync(join(ROOT, path), "latin1");
      // The pages of docs/ show made-up places.
      return text.includes(ROOT) || (path.startsWith("dist/") && /\/(home|Users)\/\w|file:\/\/\/\w/.test(text));
    });
    expect(named).toEqual([]);
  });

  test("has no fault that publint knows", async () => {
    expect(await outputOf(runNode([packageFile("publint", "src/cli.js"), "run", tarball, "--strict"]))).toContain("All good!");
  });

  test("gives every kind of importer its types", async () => {
    const attw = packageFile("@arethetypeswrong/cli", "dist/index.js");
    const told = await outputOf(runNode([attw, tarball, "--profile", "esm-only", "--no-color"]));
    expect(told).toContain('"fourfold/files"');
    expect(told).toContain('"fourfold/stream"');
    expect(told).toContain('"fourfold/tfjs"');
  });
});

describe("the installed package", () => {
  const npx = (...args: string[]) => runChild("npx", ["fourfold", ...args], { cwd: project, env: { npm_config_offline: "true" } });

  test("brings nothing else along", () => {
    expect(readdirSync(join(project, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(["fourfold"]);
  });

  test("runs the article's program and its four weighted sums, and lets the process end", async () => {
    write(
      "program.mjs",
      `import { chain, createEngine, distribute, FourfoldError, max, mean, sum, weightedSum } from "fourfold";
      const engine = await createEngine({ workers: 2 });
      const article = await engine.run(chain(sum(), mean(), max()), distribute([1, 2, 3, 4, 5], { parts: 2 }));
      const four = chain(weightedSum([1, 2]), weightedSum([1, 2]), weightedSum([1, 2]), weightedSum([1, 2]));
      const data = Float64Array.from({ length: 16 }, (_, i) => i);
      const weighted = await engine.run(four, { data, shape: [2, 2, 2, 2] });
      const large = await engine.run(chain(sum(), sum()), { data: new Float32Array(4_000_000).fill(1), shape: [4, 1_000_000] });
      const code = await engine.run(four, { data, shape: [3] }).catch((error) => error instanceof FourfoldError && error.code);
      await engine.close();
      console.log(JSON.stringify([article.value, weighted.value, large.value, code]));`,
    );
    // Each of the four levels weighs index bit 0 with 1 and bit 1 with 2: 81 · (mean of the bits' values 8, 4, 2, 1, each ⅔) = 81 · 10.
    expect(JSON.parse(await outputOf(runNode(["program.mjs"], { cwd: project })))).toEqual([7.5, 810, 4_000_000, "ERR_FOURFOLD_SHAPE"]);
  });

  test("tells how to get the reader of tables that was left out", async () => {
    write("table.csv", "region,delay\neast,1\nwest,2\n");
    write(
      "spec.json",
      JSON.stringify({ source: { file: "table.csv" }, value: "delay", levels: [{ name: "region", by: ["region"], reduce: "mean" }] }),
    );
    const { code, stdout, stderr } = await npx("run", "spec.json");
    expect({ code, stdout, stderr }).toMatchObject({ stdout: "", stderr: expect.stringContaining("npm install @duckdb/node-api") });
    expect(code).not.toBe(0);
  });

  test("tells how to get TensorFlow.js, which only fourfold/tfjs needs", async () => {
    write("embed.mjs", 'await import("fourfold/tfjs").catch(({ code, fix }) => console.log(JSON.stringify([code, fix])));');
    expect(JSON.parse(await outputOf(runNode(["embed.mjs"], { cwd: project })))).toEqual([
      "ERR_FOURFOLD_BACKEND",
      "Install it: npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0",
    ]);
  });

  test("has the command", async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    expect(await outputOf(npx("--help"))).toMatch(/^Usage: fourfold/m);
    expect((await outputOf(npx("--version"))).trim()).toBe(version);
  });

  test("has a command that starts by itself on systems with a shebang line", () => {
    const file = join(project, "node_modules/fourfold/dist/cli/main.js");
    expect(readFileSync(file, "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(statSync(file).mode & 0o111).toBe(0o111);
  });
});

describe("a TypeScript project", () => {
  const consumer = `import {
    type Chain, chain, count, createEngine, defineReduction, distribute, type Engine, FourfoldError, max, mean, min, type Reduction,
    sum, variance, weightedMean, weightedSum,
  } from "fourfold";
  const article: Chain = chain(sum(), mean(), max());
  const named: Chain = chain({ sensor: weightedSum(new Float32Array([1, 2])), site: weightedMean({ perNode: [1, 2, 3, 4] }), region: variance({ ddof: 1 }) });
  const product = defineReduction({ name: "product", init: () => 1, add: (p, x) => p * x, merge: (a, b) => a * b, finish: (p) => p });
  const own: Reduction = product();
  const engine: Engine = await createEngine({ workers: 2, accuracy: "exact" });
  try {
    const r = await engine.run(article, distribute([1, 2, 3, 4, 5], { parts: 2 }));
    const numbers: number[] = [r.value, r.values[0] ?? 0, r.errorBound ?? 0];
    const words: string[] = [r.contract, String(r.plan)];
    const kept = await engine.run(named, { values: [1, 2], keys: { region: ["a", "a"], site: ["x", "y"] } }, { keep: "all", signal: new AbortController().signal });
    for (const node of kept.level("site")) numbers.push(node.value, node.count, ...[...node.children()].map((child) => child.value));
    numbers.push(engine.runSync(chain(own, min(), count()), { data: [1, 2], shape: [1, 1, 2] }).value, kept.level("site").at("a", "x").value, words.length);
  } catch (error) {
    if (error instanceof FourfoldError) error.code satisfies string;
  } finally {
    await engine.close();
  }
  `;
  const check = async (name: string, options: object, source = consumer) => {
    write(`${name}.mts`, source);
    const compilerOptions = {
      target: "es2022",
      module: "nodenext",
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      ...options,
    };
    write(`tsconfig.${name}.json`, JSON.stringify({ compilerOptions, files: [`${name}.mts`] }));
    const { code, stdout } = await runNode([packageFile("typescript", "bin/tsc"), "-p", `tsconfig.${name}.json`], { cwd: project });
    return { code, stdout };
  };

  test("of Node compiles without the DOM and without skipLibCheck", async () => {
    mkdirSync(join(project, "types"));
    symlinkSync(join(ROOT, "node_modules/@types/node"), join(project, "types/node"));
    expect(await check("node", { lib: ["es2022"], typeRoots: ["types"], types: ["node"] })).toEqual({ code: 0, stdout: "" });
  });

  test("of a browser compiles without Node's types and without skipLibCheck", async () => {
    expect(await check("browser", { lib: ["es2022", "dom", "esnext.disposable"], types: [] })).toEqual({ code: 0, stdout: "" });
  });

  test("compiles against fourfold/tfjs without TensorFlow.js and without skipLibCheck", async () => {
    const source =
      'import { registerFourfold, type TfjsOptions } from "fourfold/tfjs";\nconst options: TfjsOptions = { memoryBytesMax: 1 };\nregisterFourfold(options);\n';
    expect(await check("embed", { lib: ["es2022"], typeRoots: ["types"], types: ["node"] }, source)).toEqual({ code: 0, stdout: "" });
  });

  test("is told when a chain is not made of reductions", async () => {
    const { code, stdout } = await check(
      "wrong",
      { lib: ["es2022", "dom", "esnext.disposable"], types: [] },
      'import { chain } from "fourfold";\nchain(1);\n',
    );
    expect(code).not.toBe(0);
    expect(stdout).toMatch(/^wrong\.mts\(2,7\): error/);
  });
});
