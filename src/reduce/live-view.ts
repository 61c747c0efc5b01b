/** What a live tree shows: a level as it is at the moment of looking, and all levels at one moment, for good. */
import { FourfoldError, show } from "../errors.ts";
import type { Key } from "./key.ts";
import type { LiveForm } from "./live-form.ts";
import type { LiveNumbers } from "./live-tree.ts";
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

/** All that views of a result read, copied. `numbers` are those of each tier. */
export function freeze(form: LiveForm, numbers: readonly LiveNumbers[], kept: readonly boolean[]): Omit<Levels, "leaves"> {
  return {
    tree: form.shape(kept.indexOf(true)),
    values: kept.map((keep, i) => (keep ? valuesOf(form.order(i + 1), numbers[i + 1]!) : undefined)),
    keys: form.kind === "rows" ? undefined : kept.map((keep, i) => (keep ? form.keys(i)! : { names: [], columns: [] })),
    order: undefined,
  };
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
  return {
    key: path.length > 0 ? path.at(-1)! : id,
    path,
    value: values[planes * id]!,
    values: Array.from(values.subarray(planes * id, planes * (id + 1))),
    count: records === undefined ? 1 : records[planes * id]!,
    children: () => {
      if (tier === 0) return [];
      const now = form.find(tier, path);
      return now < 0 ? [] : form.children(tier, now).map((child) => nodeOf(form, tier - 1, child));
    },
  };
}
