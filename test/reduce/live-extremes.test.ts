/** Tournaments against Math.min and Math.max of all children (contract clause 8), and what a change costs. */
import { describe, expect, test } from "vitest";
import { LiveExtremes } from "../../src/reduce/live-extremes.ts";
import { random } from "../random.ts";

describe.each(["min", "max"] as const)("a tournament for the %s", (kind) => {
  const extreme = kind === "min" ? Math.min : Math.max;

  test.each(["plain", "specials", "zeros", "integers"])("is won by the extreme of the children there are: %s", (flavour) => {
    const r = random(8);
    const nodes = 5;
    const states = new LiveExtremes(kind);
    states.grow(nodes, 300);
    const children = Array.from({ length: nodes }, () => new Map<number, number>());
    for (let i = 0; i < 1600; i++) {
      const node = r.int(nodes);
      const mine = children[node]!;
      const child = 60 * node + r.int(60);
      const x = r.numbers(1, flavour)[0]!;
      // Fills, empties, and fills again.
      if (!mine.has(child)) {
        if (r.int(4) < (i % 400 < 200 ? 4 : 1)) {
          states.put(node, child, x);
          mine.set(child, x);
        }
      } else if (r.int(4) < (i % 400 < 200 ? 1 : 3)) {
        states.take(node, child);
        mine.delete(child);
      } else {
        states.swap(node, child, 0, 0, x);
        mine.set(child, x);
      }
      expect(states.value(node)).toBe(mine.size === 0 ? Number.NaN : extreme(...mine.values()));
    }
  });
});

test("room that is given up is used again: 100 nodes that grow one after the other hold what one does", () => {
  const states = new LiveExtremes("max");
  states.grow(100, 500);
  for (let child = 0; child < 500; child++) states.put(0, child, child);
  for (let child = 0; child < 500; child++) states.take(0, child);
  const { bytes } = states;
  for (let node = 1; node < 100; node++) {
    for (let child = 0; child < 500; child++) states.put(node, child, child);
    for (let child = 0; child < 500; child++) states.take(node, child);
  }
  expect(states.bytes).toBe(bytes);
});
