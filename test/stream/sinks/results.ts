// Results as a stream gives them, with the nodes that a test names.
import type { Key } from "../../../src/reduce/key.ts";
import type { LevelView, Node } from "../../../src/reduce/result.ts";
import type { SinkContext, StreamResult } from "../../../src/stream/types.ts";

/** What a test says of a node. */
export type Given = readonly [path: readonly Key[], values: readonly number[], records: number];

/** Two kept levels: sites of regions, and regions. */
export const CONTEXT: SinkContext = {
  levels: [
    { name: "site", keys: ["region", "site"], outputs: 1 },
    { name: "region", keys: ["region"], outputs: 1 },
  ],
};

const viewOf = (name: string, nodes: readonly Given[]): LevelView => ({
  name,
  length: nodes.length,
  values: Float64Array.from(nodes, ([, values]) => values[0]!),
  at: () => {
    throw new Error("no test asks for it");
  },
  *[Symbol.iterator](): Iterator<Node> {
    for (const [path, values, count] of nodes)
      yield { key: path.at(-1) ?? null, path, value: values[0]!, values, count, weight: undefined, children: () => [] };
  },
});

const rest = {
  value: 0,
  values: new Float64Array(0),
  shape: [],
  weightsVersion: 2,
  contract: "1",
  whatIf: () => {
    throw new Error("no test asks for it");
  },
};

/** The result of the window [0, 60000), or of another that starts there, with nodes by level. */
export function pane(levels: Readonly<Record<string, readonly Given[]>>, start = 0): StreamResult {
  const end = start + 60_000;
  return {
    ...rest,
    id: `${start}..${end}/0`,
    pane: { start, end, index: 0, timing: "on-time", isLast: true, discarding: false },
    frame: undefined,
    records: 0,
    watermark: end,
    level: (name) => viewOf(name, levels[name]!),
  };
}

/** The result of a frame. */
export function frame(index: number, values: readonly number[]): StreamResult {
  return {
    ...rest,
    id: `frame ${index}`,
    pane: undefined,
    frame: index,
    values: Float64Array.from(values),
    records: 1,
    watermark: Number.NEGATIVE_INFINITY,
    level: () => {
      throw new Error("a frame keeps no level");
    },
  };
}
