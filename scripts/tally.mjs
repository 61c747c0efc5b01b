// Adds up what a run of .ci/run found: `node scripts/tally.mjs FOLDER`. The folder holds a file "stages" with a line such as
// "passed npm install" for each stage, and vitest's JSON reports. The last line printed is "N passed, N failed"; the exit status
// is 1 if anything failed or nothing ran.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
let passed = 0;
const failed = [];

for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
  const report = JSON.parse(readFileSync(join(folder, file), "utf8"));
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const skipped = tests.filter(({ status }) => status !== "passed" && status !== "failed").length;
  const ok = tests.filter(({ status }) => status === "passed").length;
  console.log(`${file}: ${ok} of ${tests.length} tests passed${skipped > 0 ? `, ${skipped} did not run` : ""}`);
  passed += ok;
  for (const { status, fullName } of tests) if (status === "failed") failed.push(`${file}: ${fullName}`);
  // A file that cannot be loaded has no tests to fail.
  for (const { status, name, assertionResults } of report.testResults)
    if (status === "failed" && !assertionResults.some((test) => test.status === "failed")) failed.push(`${file}: ${name}`);
}
// A stage fails, too, where its tests do not: lint, types, an unhandled error, a crash.
for (const line of readFileSync(join(folder, "stages"), "utf8").trim().split("\n")) {
  if (line.startsWith("passed ")) passed++;
  else failed.push(`stage: ${line.replace(/^failed /, "")}`);
}

for (const name of failed) console.log(`failed: ${name}`);
console.log(`${passed} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 || passed === 0 ? 1 : 0;
