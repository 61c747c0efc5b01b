// npm run soak [-- STAGE …]: the long versions of the tests of the numbers, hours of them, and what they found in test/soak.json,
// with the date. Each stage runs test files with more cases; the files say what is compared with what.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const RESULTS = join(ROOT, "test/soak.json");

/** No stage takes as long as this. */
const SECONDS_MAX = 6 * 3600;

const vitest = (cases, runs, ...files) => ({ cases, env: { FOURFOLD_RUNS: `${runs}` }, files });

const STAGES = {
  "exact sums": vitest(
    "1,000,000 programs of adds, products, subtractions and merges against Python's integers",
    1e6,
    "test/reduce/exact.oracle.test.ts",
  ),
  layouts: vitest("10,000 layouts of one input", 1e4, "test/layouts.test.ts"),
  windows: vitest("10,000,000 slides", 1e7, "test/reduce/window.test.ts"),
  chains: vitest("20,000 chains against Python's fractions", 2e4, "test/oracle.test.ts"),
  states: vitest("200,000 damaged states", 2e5, "test/reduce/codec.test.ts"),
  "states in Python": vitest("6,000 chains", 6000, "test/state.test.ts", "test/state.python.test.ts"),
  mutants: vitest(
    "10,000 mutated files of each format, read as untrusted",
    1e4,
    "test/files/mutated.test.ts",
    "test/files/parquet-check.test.ts",
  ),
  kills: {
    cases: "50 streams and 100 writers of checkpoints ended by SIGKILL",
    env: { FOURFOLD_KILLS: "50" },
    files: ["test/stream/kill.test.ts", "test/stream/checkpoints.test.ts"],
  },
  jobs: { cases: "50 kills of jobs over tables at any moment", env: { FOURFOLD_KILLS: "50" }, files: ["test/files/job-kill.test.ts"] },
  tensors: {
    cases: "ten times the random ranges and damaged files of each format of tensors",
    env: { FOURFOLD_TIMES: "10" },
    files: ["test/files/tensor.test.ts", "test/files/zarr.test.ts", "test/files/npz.test.ts"],
  },
  tables: {
    cases: "200 random specs and tables, in memory and in parts on disk",
    env: { FOURFOLD_TABLES: "200" },
    files: ["test/files/large-table.test.ts", "test/files/large-table.specs.test.ts", "test/files/outputs/round-trip.test.ts"],
  },
  "event time": vitest("3,000 random scripts of windows against a plain model", 3000, "test/stream/windows.random.test.ts"),
  bounds: {
    cases: "100,000 adversarial chains for each kind of arithmetic",
    env: { FOURFOLD_CHAINS: "100000" },
    files: ["test/reduce/bound.test.ts", "test/reduce/sizes.test.ts", "test/backends/tfjs-cpu.test.ts"],
  },
  "at rest": {
    cases: "a file of 10 GiB",
    env: { FOURFOLD_MIB: "10240" },
    files: ["test/at-rest.memory.alone.test.ts"],
  },
  large: {
    cases: "a table of 100,000,000 records in 10,000,000 nodes within 2 GiB, and one of a tenth",
    env: { FOURFOLD_RECORDS: "1e8" },
    files: ["test/files/large-table.size.test.ts"],
  },
  overload: {
    cases: "ten minutes of a producer ten times too fast, for each kind of source and overflow",
    env: { FOURFOLD_SECONDS: "600" },
    files: ["test/stream/overload.alone.test.ts"],
  },
};

const chosen = process.argv.slice(2);
const unknown = chosen.find((name) => !(name in STAGES));
if (unknown !== undefined) {
  console.error(`There is no stage "${unknown}". The stages are ${Object.keys(STAGES).join(", ")}.`);
  process.exit(2);
}

const results = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, "utf8")) : {};
for (const name of chosen.length > 0 ? chosen : Object.keys(STAGES)) {
  console.log(`\n== ${name}: ${STAGES[name].cases}`);
  results[name] = soak(STAGES[name]);
  console.log(`== ${name}: ${results[name].passed} passed, ${results[name].failed} failed in ${results[name].seconds} s`);
  writeFileSync(RESULTS, `${JSON.stringify(results, null, 1)}\n`);
  if (results[name].failed > 0) process.exitCode = 1;
}

function soak({ cases, env, files }) {
  const folder = mkdtempSync(join(tmpdir(), "fourfold-soak-"));
  const report = join(folder, "report.json");
  const started = performance.now();
  const timeout = `--testTimeout=${SECONDS_MAX * 1000}`;
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const { status } = spawnSync(process.execPath, [join(ROOT, "node_modules/vitest/vitest.mjs"), "run", ...files, timeout, ...reporters], {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, ...env, FOURFOLD_SOAK: "on" },
    timeout: SECONDS_MAX * 1000,
  });
  const tests = existsSync(report) ? JSON.parse(readFileSync(report, "utf8")).testResults.flatMap((file) => file.assertionResults) : [];
  rmSync(folder, { recursive: true, force: true });
  const passed = tests.filter((test) => test.status === "passed").length;
  const failed = Math.max(tests.filter((test) => test.status === "failed").length, status === 0 && passed > 0 ? 0 : 1);
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cpu: cpus()[0].model.trim(),
    cases,
    files,
    passed,
    failed,
    seconds: Math.round((performance.now() - started) / 1000),
  };
}
