// What the command finds on the machine that runs the tests, and what it says where things are absent.
import { cpSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Report } from "../../src/cli/doctor.ts";
import { outputOf, ROOT, runNode } from "../child.ts";
import { folderOf, fourfold } from "./bin.ts";

interface PackageJson {
  version: string;
  engines: { node: string };
  devDependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
}
const packageJson = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as PackageJson;

describe("fourfold doctor", () => {
  test("--json parses and tells the machine and what works on it", async () => {
    const report = JSON.parse(await outputOf(fourfold(["doctor", "--json"]))) as Report;
    expect(report).toMatchObject({
      ok: true,
      fourfold: packageJson.version,
      node: { version: process.versions.node, needs: packageJson.engines.node, supported: true },
      platform: { arch: process.arch, cores: availableParallelism() },
      wasm: { simd: true, threads: true, waitAsync: true },
      backends: {
        wasm: { present: true },
        reference: { present: true },
        "tfjs-cpu": { present: true, version: packageJson.devDependencies["@tensorflow/tfjs-core"] },
        "tfjs-wasm": { present: true, version: packageJson.devDependencies["@tensorflow/tfjs-core"] },
      },
      tables: { duckdb: { present: true, version: packageJson.optionalDependencies["@duckdb/node-api"] } },
    });
    const { tensorflow } = report.backends;
    if (tensorflow.present) expect(tensorflow.version).toMatch(/^2\.\d+\.\d+$/);
    else expect(tensorflow).toMatchObject({ note: expect.stringContaining("is not installed"), fix: "npx fourfold setup tensorflow" });
    const { webgpu } = report.backends;
    if (webgpu.present) expect(webgpu.version).toMatch(/^4\.22\.0 on \w.*, \w/);
    else expect(webgpu).toMatchObject({ note: expect.stringMatching(/is not installed|did not load/), fix: expect.any(String) });
  });

  test("the words say the same", async () => {
    const text = await outputOf(fourfold(["doctor"]));
    expect(text).toMatch(/^node +\d.*\(supported: fourfold needs >=20\.19\)$/m);
    expect(text).toMatch(/^backend wasm +works: /m);
    expect(text).toMatch(/^tables duckdb +works [\d.]+/m);
  });

  test("in a package without optional parts it gives the exact commands, and still ends with 0", async () => {
    const bare = copyOfBuild();
    try {
      const { code, stdout } = await runNode([join(bare, "dist/cli/main.js"), "doctor", "--json"], { cwd: bare });
      const { backends, tables } = JSON.parse(stdout) as Report;
      expect(code).toBe(0);
      expect(tables.duckdb).toMatchObject({
        present: false,
        fix: `npm install @duckdb/node-api@${packageJson.optionalDependencies["@duckdb/node-api"]}`,
      });
      const version = packageJson.devDependencies["@tensorflow/tfjs-core"];
      expect(backends["tfjs-cpu"]).toMatchObject({
        present: false,
        fix: `npm install @tensorflow/tfjs-core@${version} @tensorflow/tfjs-backend-cpu@${version}`,
      });
      expect(backends.tensorflow).toMatchObject({ present: false, fix: "npx fourfold setup tensorflow" });
      expect(backends.webgpu).toMatchObject({
        present: false,
        note: expect.stringContaining("is not installed"),
        fix: "npx fourfold setup webgpu",
      });
    } finally {
      rmSync(bare, { recursive: true, force: true });
    }
  });

  test("a backend whose process ends is absent, with how it ended; the rest of the report stands", async () => {
    const crashing = copyOfBuild();
    try {
      writeFileSync(join(crashing, "dist/cli/probe.js"), "process.kill(process.pid, 'SIGSEGV');");
      const { code, stdout } = await runNode([join(crashing, "dist/cli/main.js"), "doctor", "--json"], { cwd: crashing });
      const { ok, backends } = JSON.parse(stdout) as Report;
      expect({ code, ok }).toEqual({ code: 0, ok: true });
      expect(backends.tensorflow).toEqual({ present: false, note: "the process that tried it failed: it was ended by SIGSEGV" });
    } finally {
      rmSync(crashing, { recursive: true, force: true });
    }
  });

  test("kernels that cannot be loaded end it with 1", async () => {
    const broken = copyOfBuild();
    try {
      writeFileSync(join(broken, "dist/kernels.wasm"), "no kernels");
      const { code, stdout } = await runNode([join(broken, "dist/cli/main.js"), "doctor", "--json"], { cwd: broken });
      expect(code).toBe(1);
      expect(JSON.parse(stdout)).toMatchObject({ ok: false, backends: { wasm: { present: false } } });
    } finally {
      rmSync(broken, { recursive: true, force: true });
    }
  });
});

/** The built package in a folder of its own, out of reach of node_modules. */
function copyOfBuild(): string {
  const folder = folderOf({});
  cpSync(join(ROOT, "dist"), join(folder, "dist"), { recursive: true });
  symlinkSync(join(ROOT, "package.json"), join(folder, "package.json"));
  return folder;
}

describe("fourfold doctor --calibrate", () => {
  test("measures, stores what it measured, and tells it", async () => {
    const file = join(folderOf({}), "calibration.json");
    const env = { FOURFOLD_CALIBRATION: file };
    const report = JSON.parse(await outputOf(fourfold(["doctor", "--calibrate", "--json"], { env, timeoutMs: 120_000 }))) as Report;
    const names = report.calibration!.devices.map(({ name }) => name);
    expect(names).toEqual(["wasm", ...(report.backends.tensorflow.present ? ["tensorflow"] : [])]);
    const { format, ...stored } = JSON.parse(readFileSync(file, "utf8"));
    expect(format).toBe(1);
    expect(stored).toEqual(report.calibration);
    expect(report.calibration!.devices[0]!.rates.nsPerOperation.variance).toBeGreaterThan(0);
  }, 120_000);
});
