/** What live trees over rows and over records share: how their leaves and nodes are named, ordered and told apart. */
import { FourfoldError } from "../errors.ts";
import type { NanPolicy } from "../types.ts";
import type { Chain } from "./chain.ts";
import type { LevelKeys } from "./group.ts";
import type { Key } from "./key.ts";
import { LiveExtremes } from "./live-extremes.ts";
import { LiveLanes } from "./live-lanes.ts";
import { LiveLog } from "./live-log.ts";
import { type LiveStates, LiveSums, LiveUser } from "./live-states.ts";
import type { LiveLevel, LiveNumbers, LiveTree, LiveWeights } from "./live-tree.ts";
import { builtIn, type Fitted, type FittedLevel, sumRules } from "./resolve.ts";
import type { Tree } from "./tree.ts";
import { reduceUser } from "./user.ts";

/** How a live tree reduces. */
export interface LivePolicy {
  readonly nan: NanPolicy;
  readonly accuracy: "reproducible" | "exact";
  /** The most leaves, and nodes of a level. */
  readonly leavesMax: number;
}

/** A live tree with names. Tiers are those of {@link LiveTree}. */
export interface LiveForm {
  readonly kind: "rows" | "records";
  /** With the weights that are in force. */
  chain: Chain;
  readonly policy: LivePolicy;
  readonly tree: LiveTree;
  /** Bytes of what is not in the tree. */
  readonly bytes: number;
  /** Leaves there are. */
  readonly leaves: number;
  /** The shape of the outermost nodes. */
  readonly frames: readonly number[];
  /** Nodes of a tier. */
  count(tier: number): number;
  /** The nodes of a tier in order (clause 10a). */
  order(tier: number): ArrayLike<number>;
  /** The children of a node in order. */
  children(tier: number, node: number): number[];
  path(tier: number, node: number): Key[];
  /** Fits a chain to the nodes there are. @throws FourfoldError as a run over the same leaves does */
  fit(chain: Chain): Fitted;
  /** The leaf at a path, or −1. @throws FourfoldError ERR_FOURFOLD_KEYS for what is no path of a leaf */
  locate(path: readonly Key[]): number;
  /** The node at a path, or −1. @throws FourfoldError ERR_FOURFOLD_KEYS for what is no path of this tier */
  find(tier: number, path: readonly Key[]): number;
  /** The hierarchy from level `first` outwards; levels inside it are left empty. */
  shape(first: number): Tree;
  /** The keys of the nodes of a level, for records. */
  keys(level: number): LevelKeys | undefined;
  /** A handle of a leaf, and back: −1 if its leaf is gone. */
  handle(leaf: number): number;
  leafOf(handle: number): number;
}

/** Numbers of one tier, nodes times outputs: what typed arrays of the tournaments can number. */
const NUMBERS_MAX = 2 ** 30;

/** Level `index` as the live tree keeps it, over the numbers below it. */
function liveLevel(form: LiveForm, fitted: Fitted, index: number, below: LiveNumbers, leafWeights: Float64Array | undefined): LiveLevel {
  const level = fitted.levels[index]!;
  const planes = level.weights.form === "matrix" ? level.weights.rows : below.planes;
  const { tree, policy } = form;
  for (const tier of [index, index + 1])
    if (planes * tree.tiers[tier]!.capacity > NUMBERS_MAX)
      throw new FourfoldError("ERR_FOURFOLD_MEMORY", `level "${level.name}": ${planes} outputs of ${form.count(tier)} nodes are too many`, {
        expected: NUMBERS_MAX,
        fix: "Use several trees, each for some of the outputs",
        at: { level: level.name },
      });
  const kind = builtIn(level);
  const { sums, quotient } = sumRules(fitted, index);
  const skip = policy.nan === "skip";
  const inLanes = sums === "lanes" && (kind === "sum" || kind === "mean" || kind === "weightedSum" || kind === "weightedMean");
  const states: LiveStates = inLanes
    ? new LiveLanes(level, tree.numbers[0]!.values, skip, planes)
    : kind === undefined
      ? new LiveUser((group) => reduceByUser(form, level, index, below, planes, group))
      : kind === "min" || kind === "max"
        ? new LiveExtremes(kind)
        : new LiveSums({ kind, ddof: level.reduction.ddof ?? 0, quotient, skip });
  return { states, weights: inLanes ? ONE : liveWeights(form, fitted, index, leafWeights), planes };
}

const ONE: LiveWeights = { form: "one", values: new Float64Array(0), extent: 0, ranks: undefined };

function liveWeights(form: LiveForm, fitted: Fitted, index: number, leafWeights: Float64Array | undefined): LiveWeights {
  const { weights } = fitted.levels[index]!;
  if (index === 0 && leafWeights !== undefined) return { ...ONE, form: "own", values: leafWeights };
  if (weights.form === "none") return ONE;
  if (weights.form === "count") return { ...ONE, form: "count" };
  const { capacity } = form.tree.tiers[index]!;
  const values = new Float64Array(weights.form === "matrix" ? 0 : capacity);
  const ranks = new Uint32Array(weights.form === "matrix" ? capacity : 0);
  const outer = form.order(index + 1);
  const inner = form.order(index);
  const sizes = form.tree.tiers[index + 1]!.size;
  for (let i = 0, place = 0; i < outer.length; i++)
    for (let rank = 0; rank < sizes[outer[i]!]!; rank++, place++) {
      const child = inner[place]!;
      if (weights.form === "matrix") ranks[child] = rank;
      else values[child] = weights.values[weights.form === "shared" ? rank : place % weights.values.length]!;
    }
  return weights.form === "matrix"
    ? { form: "matrix", values: weights.values, extent: weights.extent, ranks }
    : { ...ONE, form: "own", values };
}

/** A node of a user's reduction, from its children as they are. */
function reduceByUser(
  form: LiveForm,
  { name, reduction }: FittedLevel,
  index: number,
  below: LiveNumbers,
  planes: number,
  group: number,
): number {
  const { skip, tiers } = form.tree;
  const r = group % planes;
  const node = (group - r) / planes;
  // Children in an order take the form's; without one the links between them serve.
  const children = form.kind === "rows" ? form.children(index + 1, node) : tiers[index]!.childrenOf(node, tiers[index + 1]!);
  const { values, records } = below;
  const value = (i: number): number => {
    const at = below.planes * children[i]! + (below.planes === 1 ? 0 : r);
    return skip && records?.[at] === 0 ? Number.NaN : values[at]!;
  };
  return reduceUser(reduction.user!, children.length, value, skip, { level: name, node });
}

/** A level with what its nodes are, before it takes the place of another. */
export interface Rebuilt {
  readonly levels: readonly LiveLevel[];
  readonly numbers: readonly LiveNumbers[];
}

/** Makes all levels from `first` on anew, beside those there are. Yields between slices of work. */
export function* rebuild(form: LiveForm, fitted: Fitted, first: number, leafWeights: Float64Array | undefined): Generator<void, Rebuilt> {
  const levels: LiveLevel[] = [];
  const numbers: LiveNumbers[] = [];
  let below = form.tree.numbers[first]!;
  for (let index = first; index < fitted.levels.length; index++) {
    const level = liveLevel(form, fitted, index, below, leafWeights);
    below = yield* form.tree.build(index, level, below);
    levels.push(level);
    numbers.push(below);
  }
  return { levels, numbers };
}

/** Puts rebuilt levels in their places. */
export function install({ tree }: LiveForm, first: number, { levels, numbers }: Rebuilt): void {
  for (const [i, level] of levels.entries()) {
    tree.levels[first + i] = level;
    tree.numbers[first + i + 1] = numbers[i]!;
    tree.logs[first + i + 1] = new LiveLog(level.planes);
  }
}
