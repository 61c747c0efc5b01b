// Plants the bugs of test/mutations.mjs, one at a time, in a copy of the project, and runs the tests that must catch each:
//   node scripts/mutations.mjs [--only WORDS] [--report FILE]
// A bug is caught if a test fails. One that survives, that keeps a file from loading, or whose place in the source is gone is an error.
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MUTATIONS } from "../test/mutations.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
/** What the tests of the numbers need of the project. */
const COPIED = [
  "assembly",
  "docs",
  "dist",
  "python",
  "src",
  "test",
  "types",
  "asconfig.json",
  "package.json",
  "tsconfig.json",
  "vitest.config.ts",
];
/** How kernels with a bug are compiled: a fourth of the time that a release takes, and the same bits. */
const ASC = ["--config", "asconfig.json", "--target", "release", "--optimizeLevel", "0"];
/** A planted bug may make a loop endless: that is caught, too. */
const SECONDS_MAX = 240;

const { values: options } = parseArgs({ options: { only: { type: "string" }, report: { type: "string" } } });
const chosen = MUTATIONS.filter(({ name }) => options.only === undefined || name.includes(options.only));
if (chosen.length === 0) throw new Error(`no planted bug is called "${options.only}"`);

const folder = mkdtempSync(join(tmpdir(), "fourfold-mutations-"));
const found = [];
try {
  const trees = Array.from({ length: Math.min(availableParallelism(), chosen.length) }, (_, i) => copyTo(join(folder, `${i}`)));
  await beginRight(trees[0]);
  const queue = [...chosen];
  await Promise.all(
    trees.map(async (tree) => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const outcome = await plant(tree, next);
        found.push({ name: next.name, ...outcome });
        console.log(`${outcome.caught ? "caught  " : "SURVIVED"}  ${next.name}: ${outcome.by}`);
      }
    }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const caught = found.filter((one) => one.caught).length;
console.log(`${caught} of ${found.length} planted bugs caught`);
if (options.report) writeFileSync(options.report, JSON.stringify(asReport(found)));
process.exitCode = caught === found.length ? 0 : 1;

function copyTo(tree) {
  mkdirSync(tree);
  for (const name of COPIED) cpSync(join(ROOT, name), join(tree, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(tree, "node_modules"));
  return tree;
}

/** Without a bug the tests must pass, or their failing says nothing. */
async function beginRight(tree) {
  for (const tests of new Set(chosen.map(({ caughtBy }) => JSON.stringify(caughtBy)))) {
    const { failed, unloaded } = await runTests(tree, JSON.parse(tests));
    if (failed.length > 0 || unloaded) throw new Error(`without a planted bug ${tests} fails: ${failed[0] ?? "it does not load"}`);
  }
}

/** Plants one bug, runs its tests, and takes it out again. */
async function plant(tree, { file, from, to, caughtBy }) {
  const path = join(tree, file);
  const source = readFileSync(path, "utf8");
  if (source.split(from).length !== 2) return { caught: false, by: `${file} has "${from}" ${source.split(from).length - 1} times` };
  const wasm = join(tree, "dist/kernels.wasm");
  const kernels = readFileSync(wasm);
  writeFileSync(
    path,
    source.replace(from, () => to),
  );
  try {
    if (file.startsWith("assembly/")) {
      const asc = await run(tree, join("node_modules", "assemblyscript/bin/asc.js"), ...ASC);
      if (asc.code !== 0) return { caught: false, by: `the kernels do not compile: ${asc.output.slice(-300)}` };
    }
    const { failed, unloaded, endless } = await runTests(tree, caughtBy);
    if (endless) return { caught: true, by: `the tests did not end in ${SECONDS_MAX} s` };
    if (unloaded) return { caught: false, by: "a test file does not load" };
    return failed.length > 0 ? { caught: true, by: failed[0] } : { caught: false, by: `nothing in ${caughtBy.files.join(", ")} noticed` };
  } finally {
    writeFileSync(path, source);
    writeFileSync(wasm, kernels);
  }
}

async function runTests(tree, { files, only }) {
  const report = join(tree, "report.json");
  rmSync(report, { force: true });
  const args = ["run", ...files, "--project", "together", "--bail=1", "--maxWorkers=1", "--reporter=json", `--outputFile.json=${report}`];
  const { code } = await run(tree, join("node_modules", "vitest/vitest.mjs"), ...args, ...(only ? ["-t", only] : []));
  if (code === null) return { failed: [], unloaded: false, endless: true };
  const { testResults } = JSON.parse(readFileSync(report, "utf8"));
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = tests.filter(({ status }) => status === "failed").map(({ fullName }) => fullName);
  return { failed, unloaded: failed.length === 0 && (code !== 0 || !tests.some(({ status }) => status === "passed")), endless: false };
}

/** Runs a script with this Node; code is null if it took too long. */
function run(cwd, script, ...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
    const timer = setTimeout(() => child.kill("SIGKILL"), SECONDS_MAX * 1000);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}

/** In the form of vitest's JSON report, for scripts/tally.mjs. */
function asReport(results) {
  const assertionResults = results.map(({ name, caught, by }) => ({
    fullName: `planted bug: ${name} (${by})`,
    status: caught ? "passed" : "failed",
  }));
  return { testResults: [{ name: "planted bugs", status: caught === results.length ? "passed" : "failed", assertionResults }] };
}
