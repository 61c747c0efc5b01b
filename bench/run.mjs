// npm run bench [-- SUITE …] [--quick]   Measures. Exits with 1 if a figure misses its target or
// could not be taken, with 3 if other work held the cores for most of the time.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machine, machineSlug, slug } from "./harness/machine.mjs";
import { printCases, printChecks, summary } from "./harness/report.mjs";

const SUITES = [
  "chain",
  "rows",
  "exact",
  "sum",
  "bound",
  "engine",
  "workers",
  "tensors",
  "planner",
  "flights",
  "files",
  "kernels",
  "windows",
  "streams",
  "latency",
  "overload",
  "live",
  "tfjs",
];
/** Only where they are named: they need what not every machine has. */
const NAMED = ["gpu"];

const { values: options, positionals } = parseArgs({ allowPositionals: true, options: { quick: { type: "boolean", default: false } } });
const unknown = positionals.find((name) => ![...SUITES, ...NAMED].includes(name));
if (unknown !== undefined) {
  console.error(`There is no suite "${unknown}". The suites are ${[...SUITES, ...NAMED].join(", ")}.`);
  process.exit(2);
}

const facts = machine();
console.log(
  Object.entries(facts)
    .map(([key, value]) => `${key} ${value}`)
    .join(" · "),
);
const results = {};
for (const name of positionals.length > 0 ? positionals : SUITES) {
  console.log(`\n${name}`);
  const { default: suite } = await import(`./suites/${name}.mjs`);
  const result = await suite({ quick: options.quick });
  if (result.cases?.length > 0) printCases(result.cases);
  if (result.checks?.length > 0) {
    console.log();
    printChecks(result.checks);
  }
  for (const note of result.notes ?? []) console.log(`  note: ${note}`);
  results[name] = summary(result);
}

const targets = Object.values(results).flatMap(({ checks }) => checks.filter(({ target }) => target));
const unsound = targets.filter((figure) => figure.unsound);
const missed = targets.filter((figure) => !figure.pass && !figure.unsound);
const list = (figures) => figures.map(({ figure }) => `\n  ${figure}`).join("");
console.log(`\n${targets.length - unsound.length - missed.length} of ${targets.length} targets met.`);
if (missed.length > 0) console.log(`Below target:${list(missed)}`);
if (unsound.length > 0) console.log(`Not to be judged, since other work held the cores (run again when they are free):${list(unsound)}`);
if (options.quick) console.log("Quick: too few samples to keep, nothing saved.");
else
  for (const [file, found] of byFile(facts, results)) {
    save(file, facts, found);
    console.log(`Saved as bench/results/${file}.`);
  }
process.exitCode = missed.length > 0 ? 1 : unsound.length > 0 ? 3 : 0;

/** The results by the file they belong in: the machine's, or its with the name of the device that a suite measured. */
function byFile(facts, results) {
  const files = new Map();
  for (const [suite, result] of Object.entries(results)) {
    const file = `${[machineSlug(facts), ...(result.device ? [slug(result.device)] : [])].join("-")}.json`;
    files.set(file, { ...files.get(file), [suite]: result });
  }
  return files;
}

/** Writes the suites that ran into a results file, beside those that did not run this time. */
function save(name, facts, results) {
  const folder = fileURLToPath(new URL("results/", import.meta.url));
  const file = `${folder}${name}`;
  mkdirSync(folder, { recursive: true });
  const before = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { suites: {} };
  const date = new Date().toISOString().slice(0, 10);
  const suites = { ...before.suites };
  for (const [suite, result] of Object.entries(results)) suites[suite] = { date, ...facts, ...result };
  writeFileSync(file, `${JSON.stringify({ suites }, null, 1)}\n`);
}
