// What one update of a live tree costs: a four-level tree of a million keyed leaves, by path and by the leaf's number, against the least
// that any tree does (a float64 difference added level by level over the same arrays, which drifts) and a tree of plain JavaScript objects
// that adds each node up again.
import { chain, createEngine, max, mean, sum, weightedMean } from "../../dist/index.js";
import { fillData } from "../harness/ground.mjs";
import { interleave, speedOf } from "../harness/interleave.mjs";
import { check, checkRatio } from "../harness/report.mjs";

/** Keys of each column, outermost first: a million leaves, 31,250 nodes of level f. */
const EXTENTS = [10, 25, 125, 32];
const LEAVES = EXTENTS.reduce((a, b) => a * b);
const COLUMNS = ["region", "site", "device", "sensor"];

const CHAINS = {
  sums: chain({ device: sum(), site: sum(), region: sum(), fleet: sum() }),
  "means and a maximum": chain({ device: mean(), site: weightedMean("count"), region: mean(), fleet: max() }),
};

/** Updates of one call: so many that the case before has left no trace in the caches, fewer where each adds up to a hundred values again. */
const UPDATES = 50_000;
const UPDATES_AGAIN = 2000;

const AGAIN = "objects, added up again";

/** Updates a second that the project promises. */
const PROMISED = 1e6;

export default async function liveSuite({ quick }) {
  const engine = await createEngine({ workers: 0 });
  try {
    const values = Float64Array.from(fillData(new Float64Array(LEAVES)), (x) => Math.round(1e4 * (1 + x)) / 100);
    const names = EXTENTS.map((extent, column) => Array.from({ length: extent }, (_, i) => `${COLUMNS[column]} ${i}`));
    const keys = Object.fromEntries(COLUMNS.map((name, c) => [name, Array.from(values, (_, leaf) => names[c][indexOf(leaf, c)])]));
    // Leaves in random order; the same ones for all cases.
    const order = Uint32Array.from({ length: 1 << 18 }, (_, i) => (Math.imul(i, 2654435761) >>> 0) % LEAVES);
    const paths = Array.from(order, (leaf) => COLUMNS.map((name) => keys[name][leaf]));
    const trees = {};
    const loads = [];
    for (const [name, c] of Object.entries(CHAINS)) {
      const [ms, turnMs] = await loading(async () => {
        trees[name] = await engine.live(c, { values, keys });
      });
      loads.push(`${name}: loaded in ${Math.round(ms)} ms, the event loop waited ${Math.round(turnMs)} ms at most`);
    }
    const next = updates(values);
    const cases = [
      { name: "float64 differences", run: differences(values, order, next) },
      { name: AGAIN, run: objects(values, order, next) },
      ...Object.entries(trees).flatMap(([name, live]) => {
        const handles = paths.map((path) => live.leaf(path));
        return [
          { name: `${name}, by path`, run: () => repeat((i, x) => live.set(paths[i], x), live, next) },
          { name: `${name}, by number`, run: () => repeat((i, x) => live.setLeaf(handles[i], x), live, next) },
        ];
      }),
    ];
    const measured = await interleave(cases, { samples: quick ? 7 : 31, warmups: 3 });
    // Times of one update.
    for (const c of measured) {
      const updates = c.name === AGAIN ? UPDATES_AGAIN : UPDATES;
      for (const field of ["seconds", "low", "high", "best"]) c[field] /= updates;
      c.times = c.times.map((time) => time / updates);
    }
    const of = (name) => measured.find((c) => c.name === name);
    const checks = Object.keys(CHAINS).flatMap((name) =>
      ["by path", "by number"].flatMap((way) => {
        const c = of(`${name}, ${way}`);
        return [
          check(`updates a second: ${name}, ${way}`, 1 / c.seconds / 1e6, {
            ...(name === "sums" && { atLeast: PROMISED / 1e6 }),
            unit: "million",
            spread: [1 / c.high / 1e6, 1 / c.low / 1e6],
            best: 1 / c.best / 1e6,
            unsound: c.shared,
          }),
          checkRatio(`${name}, ${way}, against float64 differences`, speedOf(c, of("float64 differences"))),
          checkRatio(`${name}, ${way}, against objects added up again`, speedOf(c, of(AGAIN))),
        ];
      }),
    );
    const { bytes, nodes } = trees.sums.stats;
    const size = `a tree of sums: ${Math.round(bytes / LEAVES)} bytes a leaf, ${nodes} nodes; times are for one update of a random leaf`;
    return { cases: measured, checks, notes: [size, ...loads] };
  } finally {
    await engine.close();
  }
}

/** The place of a leaf's key in its column. */
function indexOf(leaf, column) {
  const inside = EXTENTS.slice(column + 1).reduce((a, b) => a * b, 1);
  return Math.floor(leaf / inside) % EXTENTS[column];
}

/** New values without end, each with the number of its leaf's place in the order. */
function updates(values) {
  let at = 0;
  return () => {
    at = (at + 7919) % values.length;
    return at;
  };
}

async function loading(load) {
  let last = performance.now();
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, performance.now() - last);
    last = performance.now();
  }, 1);
  const started = performance.now();
  await load();
  clearInterval(timer);
  return [performance.now() - started, most];
}

// Each run returns the last value of the root, so that no compiler drops the work.

function repeat(set, live, next) {
  for (let n = 0; n < UPDATES; n++) {
    const i = next();
    set(i & 0x3ffff, (i % 20_000) / 100);
  }
  return live.value;
}

/** The ceiling: a leaf's parent is known, and only differences go up. */
function differences(start, order, next) {
  const values = start.slice();
  const sums = EXTENTS.map((_, c) => new Float64Array(EXTENTS.slice(0, c).reduce((a, b) => a * b, 1)));
  const insides = EXTENTS.map((_, c) => EXTENTS.slice(c).reduce((a, b) => a * b, 1));
  values.forEach((x, leaf) => {
    for (let c = 0; c < sums.length; c++) sums[c][Math.floor(leaf / insides[c])] += x;
  });
  return () => {
    for (let n = 0; n < UPDATES; n++) {
      const i = next();
      const leaf = order[i & 0x3ffff];
      const x = (i % 20_000) / 100;
      const difference = x - values[leaf];
      values[leaf] = x;
      for (let c = sums.length - 1; c >= 0; c--) sums[c][Math.floor(leaf / insides[c])] += difference;
    }
    return sums[0][0];
  };
}

/** What one writes first: a node adds its children up. */
function objects(start, order, next) {
  const leaves = new Array(start.length);
  const build = (column, from, parent) => {
    const node = { parent, value: 0, children: [] };
    const inside = EXTENTS.slice(column + 1).reduce((a, b) => a * b, 1);
    for (let i = 0; i < EXTENTS[column]; i++) {
      const at = from + i * inside;
      if (column < EXTENTS.length - 1) node.children.push(build(column + 1, at, node));
      else {
        leaves[at] = { parent: node, value: start[at] };
        node.children.push(leaves[at]);
      }
    }
    node.value = node.children.reduce((total, { value }) => total + value, 0);
    return node;
  };
  const root = build(0, 0, undefined);
  return () => {
    for (let n = 0; n < UPDATES_AGAIN; n++) {
      const i = next();
      const leaf = leaves[order[i & 0x3ffff]];
      leaf.value = (i % 20_000) / 100;
      for (let node = leaf.parent; node !== undefined; node = node.parent) {
        let total = 0;
        for (const { value } of node.children) total += value;
        node.value = total;
      }
    }
    return root.value;
  };
}
