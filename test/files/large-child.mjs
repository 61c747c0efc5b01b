// Runs a spec in a process of its own and prints what it took: node large-child.mjs SPEC OPTIONS, the options of loadSpec as JSON.
import { loadSpec } from "../../dist/files/index.js";
import { createEngine } from "../../dist/index.js";

const [, , spec, options] = process.argv;
const engine = await createEngine();
const started = performance.now();
const result = await engine.run(await loadSpec(spec, JSON.parse(options)));
const ms = performance.now() - started;
const { parts, levels, backend } = result.plan;
const rssBytes = process.resourceUsage().maxRSS * 1024;
const cpuMs = (process.cpuUsage().user + process.cpuUsage().system) / 1000;
process.stdout.write(
  `${JSON.stringify({ value: result.value, records: result.records, nodes: levels[0].nodes, backend, ms, cpuMs, rssBytes, ...parts })}\n`,
);
await engine.close();
