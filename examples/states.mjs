// Two processes, one result: node examples/states.mjs
// Each reduces half of the sales to a state; states travel as bytes, merge in any order, and close with the bits of one run.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { chain, createEngine, createState, decodeState, mean, sum } from "fourfold";

const revenue = chain({ shop: sum(), region: mean() });

const sales = [
  ["north", "Aalborg", 0.1],
  ["south", "Odense", 1e16],
  ["north", "Aalborg", 0.2],
  ["south", "Odense", 3.14],
  ["north", "Skagen", 19.99],
  ["south", "Odense", -1e16],
];

/** Sales from … to − 1 as columns. */
function columns(from, to) {
  const some = sales.slice(from, to);
  return { values: some.map((s) => s[2]), keys: { region: some.map((s) => s[0]), shop: some.map((s) => s[1]) } };
}

const [, , start, end] = process.argv;
if (start !== undefined) {
  // A process that reduces its part, says what it has read, and sends the state.
  const state = createState(revenue, { keys: ["region", "shop"] });
  state.add(columns(+start, +end), { source: "sales", partition: 0, from: +start, to: +end });
  process.stdout.write(state.encode({ hmacKey: "a secret of these processes" }));
} else {
  const part = async (from, to) => {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), from, to], { stdio: ["ignore", "pipe", "inherit"] });
    const [bytes] = await Promise.all([buffer(child.stdout), once(child, "close")]);
    return decodeState(bytes, revenue, { hmacKey: "a secret of these processes" });
  };
  const [first, second] = await Promise.all([part(0, 3), part(3, 6)]);

  second.merge(first);
  console.log(`merged once more, it is dropped: ${second.merge(first).replayed}`);
  const { source, from, to } = second.provenance[0];
  console.log(`read: ${source} ${from} to ${to}, ${second.items} records in ${second.nodes} shops`);

  const result = second.finish({ keep: "all" });
  for (const shop of result.level("shop")) console.log(`${shop.path.join(" ")}: ${shop.value}`);
  for (const region of result.level("region")) console.log(`${region.key}, mean of its shops: ${region.value}`);

  const engine = await createEngine();
  const whole = await engine.run(revenue, columns(0, sales.length));
  console.log(`the bits of one run: ${whole.values.every((value, i) => Object.is(value, result.values[i]))}`);
  await engine.close();
}

// Prints:
// merged once more, it is dropped: true
// read: sales 0 to 6, 6 records in 3 shops
// north Aalborg: 0.30000000000000004
// north Skagen: 19.99
// south Odense: 3.14
// north, mean of its shops: 10.145
// south, mean of its shops: 3.14
// the bits of one run: true
