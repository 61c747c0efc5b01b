/** Random results at rest for tests: trees of closed nodes, whose values the numeric contract's plain loops make, and the same as plain values for Python. */
import { type ClosedTree, closedTree } from "../../src/reduce/closed-tree.ts";
import { type ClosedChildren, valueOfChildren } from "../../src/reduce/contributions.ts";
import type { NanPolicy } from "../../src/types.ts";
import type { Random } from "../random.ts";

/** A level of a plain tree. */
export interface PlainRules {
  readonly reduce: string;
  readonly ddof: number;
}

/** A node with its children, by key. */
export interface PlainNode {
  readonly value: number;
  readonly weight: number;
  readonly count: number;
  readonly children: ReadonlyMap<string, PlainNode>;
}

/** A number as 16 hex digits. */
export function hex(x: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(x);
  return bytes.toString("hex");
}

/** A closed node over children. */
function closed({ reduce, ddof }: PlainRules, nan: NanPolicy, weight: number, children: ReadonlyMap<string, PlainNode>): PlainNode {
  const nodes = [...children.values()];
  const inside: ClosedChildren = {
    values: nodes.map(({ value }) => value),
    weights: nodes.map((node) => node.weight),
    counts: nodes.map(({ count }) => count),
  };
  const value = valueOfChildren({ reduce, ddof, nan }, "rounded", inside)!;
  const count = nodes.reduce((n, node) => n + (nan === "skip" && node.value !== node.value ? 0 : node.count), 0);
  return { value, weight, count, children };
}

/** A tree of `rules.length` levels above its innermost nodes, outermost first in `rules`. */
export function randomNode(
  r: Random,
  rules: readonly PlainRules[],
  nan: NanPolicy,
  value: (r: Random) => number,
  weight: (r: Random) => number,
): PlainNode {
  const own = weight(r);
  const [first, ...inner] = rules;
  if (first === undefined) return { value: value(r), weight: own, count: 1 + r.int(9), children: new Map() };
  const children = new Map(Array.from({ length: 1 + r.int(5) }, (_, i) => [`k${i}`, randomNode(r, inner, nan, value, weight)]));
  return closed(first, nan, own, children);
}

/** The tree with some values, weights and nodes changed. */
export function changed(
  r: Random,
  node: PlainNode,
  rules: readonly PlainRules[],
  nan: NanPolicy,
  value: (r: Random) => number,
  weight: (r: Random) => number,
): PlainNode {
  const own = r.int(3) === 0 ? weight(r) : node.weight;
  const [first, ...inner] = rules;
  if (first === undefined) return { ...node, weight: own, value: r.int(2) === 0 ? value(r) : node.value };
  const children = new Map<string, PlainNode>();
  for (const [key, child] of node.children) if (r.int(6) > 0) children.set(key, changed(r, child, inner, nan, value, weight));
  if (r.int(3) === 0 || children.size === 0) children.set(`n${r.int(9)}`, randomNode(r, inner, nan, value, weight));
  return closed(first, nan, own, children);
}

/** The columns of a plain tree. `rules` are outermost first, as above; the innermost level reduces what is not there. */
export function treeOf(root: PlainNode, rules: readonly PlainRules[], nan: NanPolicy): ClosedTree {
  const depth = rules.length;
  const dictionaries: string[][] = rules.map(() => []);
  const levels = Array.from({ length: depth + 1 }, () => ({ paths: [] as number[][], nodes: [] as PlainNode[] }));
  const visit = (node: PlainNode, level: number, path: readonly number[]): void => {
    levels[level]!.paths.push([...path]);
    levels[level]!.nodes.push(node);
    for (const [key, child] of node.children) {
      const dictionary = dictionaries[level]!;
      if (!dictionary.includes(key)) dictionary.push(key);
      visit(child, level + 1, [...path, dictionary.indexOf(key)]);
    }
  };
  visit(root, 0, []);
  const inputs = levels.map(({ paths, nodes }, level) => ({
    rules: {
      name: `level${level}`,
      reduce: rules[level]?.reduce ?? "sum",
      ddof: rules[level]?.ddof ?? 0,
      keys: Array.from({ length: level }, (_, i) => `key${i}`),
    },
    rows: {
      codes: Array.from({ length: level }, (_, column) => Uint32Array.from(paths, (path) => path[column]!)),
      values: Float64Array.from(nodes, ({ value }) => value),
      outputs: 1,
      counts: Float64Array.from(nodes, ({ count }) => count),
      weights: Float64Array.from(nodes, ({ weight }) => weight),
    },
    gap: false,
  }));
  return closedTree(inputs.reverse(), dictionaries, nan);
}

/** The tree for Python: [value, weight, count, { key: child }]. */
export function plain({ value, weight, count, children }: PlainNode): unknown {
  return [hex(value), hex(weight), count, Object.fromEntries(Array.from(children, ([key, child]) => [key, plain(child)]))];
}
