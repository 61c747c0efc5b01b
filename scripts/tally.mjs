// Adds up what a run of .ci/run found: `node scripts/tally.mjs FOLDER`. The folder holds vitest's JSON reports and a file "stages"
// with a line "passed|failed REPORT|- NAME" for each stage. The last line printed is "N passed, N failed"; the exit status is 1 if
// anything failed.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
let passed = 0;
const failed = [];

/** Counts the tests of a report. */
function count(report) {
  const { testResults } = JSON.parse(readFileSync(join(folder, report), "utf8"));
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const withStatus = (wanted) => tests.filter(({ status }) => status === wanted);
  const ok = withStatus("passed").length;
  console.log(`${report}: ${ok} of ${tests.length} tests passed, ${tests.length - ok - withStatus("failed").length} did not run`);
  passed += ok;
  failed.push(...withStatus("failed").map(({ fullName }) => `${report}: ${fullName}`));
  // A file that does not load has no tests that could fail.
  const unloaded = testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.every((test) => test.status !== "failed"),
  );
  failed.push(...unloaded.map(({ name }) => `${report}: ${name}`));
}

for (const line of readFileSync(join(folder, "stages"), "utf8").trim().split("\n")) {
  const [ended, report, ...name] = line.split(" ");
  const before = failed.length;
  if (existsSync(join(folder, report))) count(report);
  // A stage is a check of its own: lint, types, an unhandled error or a crash fail it while all its tests pass.
  if (ended === "passed") passed++;
  else if (failed.length === before) failed.push(name.join(" "));
}

for (const name of failed) console.log(`failed: ${name}`);
console.log(`${passed} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 ? 1 : 0;
