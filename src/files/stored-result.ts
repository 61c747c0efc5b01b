/** A result at rest as its readers see it. Types only: result-view.ts holds the columns, result-file.ts opens the file. */
import type { PieceKind } from "../reduce/changes.ts";
import type { Key } from "../reduce/key.ts";
import type { NanPolicy } from "../types.ts";
import type { MetadataLevel } from "./result-metadata.ts";

/** A kept level of a result. */
export interface StoredLevel extends MetadataLevel {
  /** How many nodes it has. */
  readonly nodes: number;
}

/** A node of a result at rest. */
export interface StoredNode {
  /** The name of its level. */
  readonly level: string;
  /** Its place in its level, in the order of keys. */
  readonly index: number;
  /** Its keys, outermost first. */
  readonly path: readonly Key[];
  /** Its value; of output 0 where the chain has several. */
  readonly value: number;
  /** Its value for each output. */
  readonly values: readonly number[];
  /** The records below it that were not skipped. */
  readonly count: number;
  /** What it weighs in its parent; undefined where the parent's reduction has no weights. */
  readonly weight: number | undefined;
}

/** What one child gives to the value of its parent. */
export interface Contribution {
  readonly node: StoredNode;
  /** +0 for a child that `nan: "skip"` leaves out; undefined where the reduction has no contributions. */
  readonly contribution: number | undefined;
  /** False for a child that `nan: "skip"` leaves out. */
  readonly kept: boolean;
  /** True for the child that decides a min or max: the first, if several have the value. */
  readonly decides: boolean;
}

/** The children of a node and what they give to its value. */
export interface NodeContributions {
  readonly node: StoredNode;
  /** The output that was asked for, and the node's value for it. */
  readonly output: number;
  readonly value: number;
  /** In the order of keys; with `top`, those of the largest contributions first. */
  readonly children: readonly Contribution[];
  /** With `top`: how many children are left, and what they give together. */
  readonly others: { readonly children: number; readonly contribution: number | undefined } | undefined;
  /**
   * The contributions (and that of the others) and the residual add up to the node's value exactly, as real numbers. Undefined where there are no
   * contributions, or something is not finite.
   */
  readonly residual: number | undefined;
  /** Why there are no contributions or no residual; undefined if there are both. */
  readonly why: string | undefined;
  /**
   * What the children give by the numeric contract, if that is not the node's value: levels between the two may be missing, or the value
   * was computed in float32. Undefined if they agree, or that cannot be told.
   */
  readonly differs: number | undefined;
}

/** One piece of a change. */
export interface ChangePiece {
  /** Another value, another weight, or a node that is in one of the results only. */
  readonly kind: PieceKind;
  /** The node; undefined in the result it is not in. */
  readonly before: StoredNode | undefined;
  readonly after: StoredNode | undefined;
  /** What it adds to the change. */
  readonly effect: number;
  /** Why a value's change was not opened further; undefined for the innermost nodes. */
  readonly why: string | undefined;
}

/** Why a node's value is another than in an earlier result. */
export interface NodeChange {
  /** The node in the earlier and in this result. */
  readonly node: { readonly before: StoredNode; readonly after: StoredNode };
  readonly before: number;
  readonly after: number;
  /** after − before, rounded once. */
  readonly change: number;
  /** What the pieces of each kind add together, each sum rounded once. */
  readonly totals: Readonly<Record<PieceKind, number>>;
  /** In the order of the tree; with `top`, those of the largest effects first. */
  readonly pieces: readonly ChangePiece[];
  /** With `top`: how many pieces are left, and what they add together. */
  readonly others: { readonly pieces: number; readonly effect: number } | undefined;
  /** `before`, all effects, the residual and `rounding` add up to `after` exactly, as real numbers. Undefined where something is not finite. */
  readonly residual: number | undefined;
  /** 0, unless after − before is no double and no residual makes all pieces add up to it (see docs/inspect.md). */
  readonly rounding: number | undefined;
}

/** Where to look in a result. */
export interface WhereOptions {
  /** The level, if several have as many keys as the path; the outermost of them without it. */
  readonly level?: string;
}

/** What to give of a node. */
export interface TopOptions {
  /** The output, where a chain has several; 0 without it. */
  readonly output?: number;
  /** List so many of the largest size, and the others as one; all without it. */
  readonly top?: number;
}

/** A result at rest. It holds columns in memory and no file. */
export interface StoredResult {
  /** The path it was opened by. */
  readonly file: string;
  /** The levels that have nodes, innermost first. */
  readonly levels: readonly StoredLevel[];
  /** The version of the numeric contract its values keep. */
  readonly contract: string;
  readonly accuracy: string;
  readonly nan: NanPolicy;
  /** The records that were reduced. */
  readonly records: number;
  /** Values of an outermost node. */
  readonly outputs: number;
  /** The nodes of a level in the order of keys. @throws FourfoldError ERR_FOURFOLD_LEVEL */
  nodes(level: string): Iterable<StoredNode>;
  /**
   * The node at a path of keys, outermost first. A key is found by itself or by its text.
   * @throws FourfoldError ERR_FOURFOLD_LEVEL with the nearest key if there is none
   */
  at(path: readonly Key[], options?: WhereOptions): StoredNode;
  /** The nodes inside a node, in the order of keys. @throws FourfoldError ERR_FOURFOLD_LEVEL if they are not in the result */
  children(node: StoredNode): StoredNode[];
  /**
   * What the children of a node give to its value.
   * @throws FourfoldError ERR_FOURFOLD_LEVEL if they are not in the result, ERR_FOURFOLD_ARGUMENT for an output that is not there
   * @example
   * const result = await openResult("flights.result.json");
   * const { children, residual } = result.contributions(result.at(["TX"]), { top: 3 });
   */
  contributions(node: StoredNode, options?: TopOptions): NodeContributions;
  /**
   * Explains why a node of this result is not what it was in `other`, the earlier one.
   * @throws FourfoldError ERR_FOURFOLD_LEVEL if the node is not in `other`, or its levels have other names or keys there
   * @example
   * const { change, pieces, residual } = today.diff(yesterday, today.at(["TX"]), { top: 5 });
   */
  diff(other: StoredResult, node: StoredNode, options?: TopOptions): NodeChange;
}
