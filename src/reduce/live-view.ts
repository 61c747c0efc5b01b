/** What a live tree shows: a level as it is at the moment of looking, and all levels at one moment, for good. */
import { FourfoldError, show } from "../errors.ts";
import type { Key } from "./key.ts";
import type { LiveForm } from "./live-form.ts";
import { childWeight, type LiveLevel, type LiveNumbers } from "./live-tree.ts";
import type { FittedWeights } from "./resolve.ts";
import type { Levels, LevelValues, LevelView, Node } from "./result.ts";

/** Values of a tier in order, output after output, and the records below for output 0. */
export function valuesOf(order: ArrayLike<number>, { planes, values, records }: LiveNumbers): LevelValues {
  const n = order.length;
  const ordered = new Float64Array(planes * n);
  const below = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const at = planes * order[i]!;
    for (let r = 0; r < planes; r++) ordered[r * n + i] = values[at + r]!;
    below[i] = records![at]!;
  }
  return { values: ordered, outputs: planes, records: below };
}

/** All that views of a result read, copied. `numbers` are those of each tier, and `levels` say what its nodes weigh. */
export function freeze(
  form: LiveForm,
  levels: readonly LiveLevel[],
  numbers: readonly LiveNumbers[],
  kept: readonly boolean[],
): Omit<Levels, "leaves"> {
  return {
    tree: form.shape(kept.indexOf(true)),
    values: kept.map((keep, i) => (keep ? valuesOf(form.order(i + 1), numbers[i + 1]!) : undefined)),
    keys: form.kind === "rows" ? undefined : kept.map((keep, i) => (keep ? form.keys(i)! : { names: [], columns: [] })),
    order: undefined,
    weighing: levels.map(({ weights }, i) => ({ weights: kept[i - 1] ? frozenWeights(weights, form.order(i)) : NONE })),
  };
}

const NONE: FittedWeights = { form: "none" };

function frozenWeights(weights: LiveLevel["weights"], order: ArrayLike<number>): FittedWeights {
  if (weights.form === "one") return NONE;
  if (weights.form === "count") return { form: "count" };
  return { form: "perNode", values: Float64Array.from(order, (child) => childWeight(weights, child, 0)!) };
}

/** One level of a live tree. Each look at it shows what is then; nodes that it has given stay as they were. */
export class LiveView implements LevelView {
  readonly name: string;
  readonly #form: LiveForm;
  readonly #tier: number;

  constructor(form: LiveForm, level: number) {
    this.name = form.chain.levels[level]!.name;
    this.#form = form;
    this.#tier = level + 1;
  }

  get length(): number {
    return this.#form.count(this.#tier);
  }

  get values(): Float64Array {
    return valuesOf(this.#form.order(this.#tier), this.#form.tree.numbers[this.#tier]!).values;
  }

  [Symbol.iterator](): Iterator<Node> {
    // All at once: nodes may come and go while the caller looks at them one by one.
    return Array.from(this.#form.order(this.#tier), (node) => nodeOf(this.#form, this.#tier, node)).values();
  }

  at(...path: readonly Key[]): Node {
    const node = this.#form.find(this.#tier, path);
    if (node < 0)
      throw new FourfoldError("ERR_FOURFOLD_LEVEL", `level "${this.name}" has no node at (${path.map(show).join(", ")})`, {
        given: path,
        fix: "Nodes come and go with their leaves; iterate over the level to see those there are",
        at: { level: this.name },
      });
    return nodeOf(this.#form, this.#tier, node);
  }
}

/** A node, or a leaf, as it is now. Its children are looked up when they are asked for. */
function nodeOf(form: LiveForm, tier: number, id: number): Node {
  const path = form.path(tier, id);
  const { planes, values, records } = form.tree.numbers[tier]!;
  const count = records === undefined ? 1 : records[planes * id]!;
  return {
    key: path.length > 0 ? path.at(-1)! : id,
    path,
    value: values[planes * id]!,
    values: Array.from(values.subarray(planes * id, planes * (id + 1))),
    count,
    weight: weightIn(form, tier, id, path, count),
    children: () => {
      if (tier === 0) return [];
      const now = form.find(tier, path);
      return now < 0 ? [] : form.children(tier, now).map((child) => nodeOf(form, tier - 1, child));
    },
  };
}

/** What a node, or a leaf, weighs in its parent. */
function weightIn({ chain, kind, tree }: LiveForm, tier: number, id: number, path: readonly Key[], count: number): number | undefined {
  const level = tree.levels[tier];
  if (level === undefined) return undefined; // the outermost nodes have no parent
  if (tier > 0 || kind === "records") return childWeight(level.weights, id, count);
  // Lanes read the weights of rows where the chain has them.
  const { weights } = chain.levels[0]!.reduction;
  if (weights === undefined || !("values" in weights)) return undefined;
  return weights.values[weights.form === "perNode" ? id % weights.values.length : (path.at(-1) as number)]!;
}
