/** `fourfold doctor`: what works on this machine, each thing tried and not guessed, and the command that gets what is absent. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, availableParallelism, cpus, freemem, platform, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { FourfoldError } from "../errors.ts";
import { loadSpec } from "../files/index.ts";
import { type Calibration, createEngine, type Measured } from "../index.ts";
import { hexBits } from "../reduce/cells.ts";
import { readArgs } from "./args.ts";
import { EXIT } from "./failure.ts";
import { installed } from "./packages.ts";
import { type Finding, fixOf, messageOf, tried, tryInChild } from "./trial.ts";
import { missingForAdapter } from "./webgpu.ts";

/** What `fourfold doctor --json` prints. */
export interface Report {
  /** True if the wasm backend works: then everything but tables does. */
  readonly ok: boolean;
  readonly fourfold: string;
  readonly node: { readonly version: string; readonly needs: string; readonly supported: boolean };
  readonly platform: { readonly os: string; readonly arch: string; readonly cpu: string; readonly cores: number };
  readonly memory: { readonly totalBytes: number; readonly freeBytes: number };
  readonly wasm: { readonly simd: boolean; readonly threads: boolean; readonly waitAsync: boolean };
  readonly backends: Readonly<Record<"wasm" | "reference" | "tensorflow" | "webgpu" | "tfjs-cpu" | "tfjs-wasm", Finding>>;
  readonly tables: Readonly<Record<"duckdb", Finding>>;
  /** With --calibrate: what the devices that `auto` may choose were measured at. */
  readonly calibration?: Calibration;
}

/** Examines the machine; returns the exit code. */
export async function doctor(args: readonly string[]): Promise<number> {
  const { values, positionals } = readArgs("doctor", args, {
    calibrate: { type: "boolean" },
    json: { type: "boolean" },
    verbose: { type: "boolean" },
  });
  if (positionals.length > 0)
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", "doctor takes no arguments", { given: positionals, fix: "fourfold doctor --json" });
  const report = { ...(await examine()), ...(values.calibrate && { calibration: await calibrated() }) };
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : inWords(report));
  return report.ok ? EXIT.ok : EXIT.failed;
}

async function examine(): Promise<Report> {
  const packageJson = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
    engines: { node: string };
  };
  const backends = {
    ...(await kernels()),
    tensorflow: await tryInChild("tensorflow"),
    webgpu: await gpu(),
    "tfjs-cpu": await tryInChild("tfjs-cpu"),
    "tfjs-wasm": await tryInChild("tfjs-wasm"),
  };
  return {
    ok: backends.wasm.present,
    fourfold: packageJson.version,
    node: {
      version: process.versions.node,
      needs: packageJson.engines.node,
      supported: atLeast(process.versions.node, packageJson.engines.node),
    },
    platform: { os: `${platform()} ${release()}`, arch: arch(), cpu: cpus()[0]?.model.trim() ?? "unknown", cores: availableParallelism() },
    memory: { totalBytes: totalmem(), freeBytes: freemem() },
    wasm: { simd: compiles(SIMD), threads: compiles(THREADS), waitAsync: "waitAsync" in Atomics },
    backends,
    tables: { duckdb: await duckdb() },
  };
}

/** Measures the wasm kernels and the devices that are installed, and stores it. */
async function calibrated(): Promise<Calibration> {
  await using engine = await createEngine();
  return await engine.calibrate();
}

/** Tries the kernels against the reference, on the calling thread and on workers. */
async function kernels(): Promise<{ wasm: Finding; reference: Finding }> {
  // Odd extents reach the kernels' tails; 2.9 MiB of float64 is enough to go to the workers.
  const shape = [3, 5, 97, 257] as const;
  const fix = "Install fourfold again; if that does not help, report it with this output";
  try {
    const expected = hexBits((await tried(shape, { backend: "reference" })).value);
    const reference: Finding = { present: true, note: "plain loops, the definition that the others are compared with" };
    try {
      for (const [where, options] of [
        ["on the calling thread", { workers: 0 }],
        ["on workers", {}],
      ] as const) {
        const found = hexBits((await tried(shape, { ...options, backend: "wasm" })).value);
        if (found !== expected)
          return {
            wasm: { present: false, note: `a small chain ${where} gave the bits ${found}, the reference ${expected}`, fix },
            reference,
          };
      }
      return {
        wasm: { present: true, note: "a chain of four levels gave the reference's bits, on the calling thread and on workers" },
        reference,
      };
    } catch (error) {
      return { wasm: { present: false, note: messageOf(error), fix }, reference };
    }
  } catch (error) {
    const broken: Finding = { present: false, note: messageOf(error), fix };
    return { wasm: broken, reference: broken };
  }
}

/** Tries a GPU; where there is no adapter, says what is missing for one. */
async function gpu(): Promise<Finding> {
  const finding = await tryInChild("webgpu");
  if (finding.present || finding.note.includes("is not installed")) return finding;
  const reasons = await missingForAdapter();
  return reasons.length === 0 ? finding : { ...finding, fix: reasons.join("; ") };
}

/** Tries DuckDB on a spec of one row: its native part can be missing while its package is there. */
async function duckdb(): Promise<Finding> {
  const version = installed("@duckdb/node-api")?.version;
  const told = version === undefined ? {} : { version };
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(tmpdir(), "fourfold-doctor-"));
    const file = join(folder, "one.json");
    writeFileSync(
      file,
      '{ "source": { "sql": "select 42 as x" }, "value": "x", "levels": [{ "name": "all", "by": [], "reduce": "sum" }] }',
    );
    await using engine = await createEngine({ workers: 0 });
    const { value } = await engine.run(await loadSpec(file));
    return value === 42
      ? { present: true, ...told, note: "reads CSV, JSON and Parquet" }
      : { present: false, ...told, note: `read ${value} where 42 was written` };
  } catch (error) {
    return {
      present: false,
      ...told,
      note: messageOf(error),
      ...fixOf(error),
    };
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/** `20.20.2` against `>=20.19`. */
function atLeast(version: string, needs: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [needMajor = 0, needMinor = 0] = (/\d+(\.\d+)*/.exec(needs)?.[0] ?? "0").split(".").map(Number);
  return major > needMajor || (major === needMajor && minor >= needMinor);
}

/** A function that makes a v128 of zeros. */
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11];
/** A shared memory. */
const THREADS = [0, 97, 115, 109, 1, 0, 0, 0, 5, 4, 1, 3, 1, 1];

function compiles(bytes: readonly number[]): boolean {
  try {
    new WebAssembly.Module(Uint8Array.from(bytes));
    return true;
  } catch {
    return false;
  }
}

function inWords({ fourfold, node, platform, memory, wasm, backends, tables, calibration }: Report): string {
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const yes = (works: boolean): string => (works ? "yes" : "no");
  const lines: [string, string][] = [
    ["fourfold", fourfold],
    ["node", `${node.version} (${node.supported ? "supported" : "not supported"}: fourfold needs ${node.needs})`],
    ["platform", `${platform.os} ${platform.arch}, ${platform.cpu}`],
    ["cores", String(platform.cores)],
    ["memory", `${gib(memory.totalBytes)}, ${gib(memory.freeBytes)} free`],
    ["wasm", `SIMD ${yes(wasm.simd)}, threads ${yes(wasm.threads)}, Atomics.waitAsync ${yes(wasm.waitAsync)}`],
    ...Object.entries(backends).map(([name, finding]): [string, string] => [`backend ${name}`, findingInWords(finding)]),
    ...Object.entries(tables).map(([name, finding]): [string, string] => [`tables ${name}`, findingInWords(finding)]),
    ...(calibration?.devices ?? []).map((device): [string, string] => [`rates of ${device.name}`, ratesInWords(device)]),
    ...Object.entries(calibration?.failed ?? {}).map(([name, { reason }]): [string, string] => [`rates of ${name}`, reason]),
  ];
  const width = Math.max(...lines.map(([heading]) => heading.length)) + 2;
  return lines.map(([heading, text]) => `${heading.padEnd(width)}${text.replaceAll("\n", `\n${" ".repeat(width)}`)}\n`).join("");
}

function ratesInWords({ rates }: Measured): string {
  const ns = (value: number): string => `${Number(value.toPrecision(3))} ns`;
  const { fixedMs, nsPerByte, nsPerOperation, nsPerNode, moveNsPerByte, convertNsPerLeaf } = rates;
  const kernels = (table: Readonly<Record<string, number>>): string =>
    Object.entries(table)
      .map(([kernel, value]) => `${kernel} ${ns(value)}`)
      .join(", ");
  const moves = Object.entries(moveNsPerByte).map(
    ([place, value]) => `${ns(value)} out of a${place === "engine memory" ? "n engine's memory" : " plain array"}`,
  );
  return [
    `a run ${Number(fixedMs.toPrecision(3))} ms, a byte read ${ns(nsPerByte)}`,
    `an operation: ${kernels(nsPerOperation)}`,
    `a node: ${kernels(nsPerNode)}`,
    `a byte moved there: ${moves.join(", ")}; a leaf converted: ${ns(convertNsPerLeaf)}`,
  ].join("\n");
}

function findingInWords({ present, version, note, fix }: Finding): string {
  return `${present ? "works" : "absent"}${version === undefined ? "" : ` ${version}`}: ${note}${fix === undefined || note.includes(fix) ? "" : `\nto get it: ${fix}`}`;
}
