/**
 * What a state is a state of: the chain with its key columns, the weights, the policy. Each is written in one way; equal bytes, and
 * therefore equal hashes, are what makes two states fit each other (contract clause 15; docs/state-format.md, "Header").
 */
import { FourfoldError } from "../errors.ts";
import type { NanPolicy } from "../types.ts";
import { type ByteReader, ByteWriter } from "./bytes.ts";
import type { Chain } from "./chain.ts";
import type { NullKeys } from "./group.ts";
import type { BuiltIn, Reduction } from "./reductions.ts";
import { leafCounts } from "./resolve.ts";
import { writeWeights } from "./weights-bytes.ts";

/** How records are read. */
export interface Policy {
  readonly nan: NanPolicy;
  readonly accuracy: "reproducible" | "exact";
  readonly nullKeys: NullKeys;
}

/** Key columns, outermost first, and how many leading ones name the nodes of each level, innermost level first. */
export interface KeyLayout {
  readonly names: readonly string[];
  readonly depths: readonly number[];
}

/** See the head of this file. */
export interface Layout {
  readonly chain: Uint8Array;
  readonly weights: Uint8Array;
  readonly policy: Uint8Array;
}

/** The numbers of reductions. */
const KINDS: readonly (BuiltIn | "user")[] = ["sum", "weightedSum", "mean", "weightedMean", "min", "max", "count", "variance", "user"];

/** Beside the numbers of weights in weights-bytes.ts: a level without, and level f, whose weights come with its records and are no part of the chain. */
const NO_WEIGHTS = 0;
const WEIGHTS_OF_RECORDS = 1;

const POLICIES = {
  nan: ["propagate", "skip", "error"],
  accuracy: ["reproducible", "exact"],
  nullKeys: ["error", "skip", "group"],
} as const;

/** The layout of a chain's states. */
export function layoutOf(chain: Chain, keys: KeyLayout, policy: Policy): Layout {
  return { chain: chainBytes(chain, keys), weights: weightsBytes(chain), policy: policyBytes(policy) };
}

/** Level f as states have it: "count" weighs each record 1. */
export function leafReduction(chain: Chain): Reduction {
  return leafCounts(chain.levels[0]!.reduction);
}

function chainBytes({ levels }: Chain, { names, depths }: KeyLayout): Uint8Array {
  const to = new ByteWriter();
  to.unsigned(levels.length);
  levels.forEach(({ name, reduction: given }, i) => {
    const reduction = i === 0 ? leafCounts(given) : given;
    to.text(name);
    to.byte(KINDS.indexOf(reduction.kind));
    if (reduction.kind === "variance") to.unsigned(reduction.ddof ?? 0);
    if (reduction.kind === "user") to.text(reduction.name);
  });
  to.unsigned(names.length);
  for (const name of names) to.text(name);
  for (const depth of depths) to.unsigned(depth);
  return to.finish();
}

function weightsBytes({ levels }: Chain): Uint8Array {
  const to = new ByteWriter();
  levels.forEach(({ reduction: given }, i) => {
    const { weights } = i === 0 ? leafCounts(given) : given;
    if (weights === undefined) to.byte(NO_WEIGHTS);
    else if (i === 0) to.byte(WEIGHTS_OF_RECORDS);
    else writeWeights(to, weights);
  });
  return to.finish();
}

/** Bytes of a policy. */
export const POLICY_BYTES = 3;

function policyBytes({ nan, accuracy, nullKeys }: Policy): Uint8Array {
  return Uint8Array.of(POLICIES.nan.indexOf(nan), POLICIES.accuracy.indexOf(accuracy), POLICIES.nullKeys.indexOf(nullKeys));
}

/** The policy that three bytes say, or undefined. */
export function policyOf([nan, accuracy, nullKeys]: Uint8Array): Policy | undefined {
  const policy = { nan: POLICIES.nan[nan!], accuracy: POLICIES.accuracy[accuracy!], nullKeys: POLICIES.nullKeys[nullKeys!] };
  return policy.nan && policy.accuracy && policy.nullKeys ? (policy as Policy) : undefined;
}

/** What the bytes of a chain say. */
export interface ChainSketch extends KeyLayout {
  /** In words. */
  readonly text: string;
}

/** Reads the bytes of a chain. @throws FourfoldError ERR_FOURFOLD_STATE if they are none */
export function readSketch(from: ByteReader): ChainSketch {
  const levels: string[] = [];
  for (let left = from.count(2); left > 0; left--) {
    const name = from.text();
    const kind = KINDS[from.byte()] ?? from.fail("has a reduction of a kind that is not known");
    const more = kind === "variance" ? ` with ddof ${from.unsigned()}` : "";
    levels.push(`${name}: ${kind === "user" ? from.text() : kind}${more}`);
  }
  const names: string[] = [];
  for (let left = from.count(1); left > 0; left--) names.push(from.text());
  const depths = levels.map(() => from.unsigned());
  depths.forEach((depth, i) => {
    if (depth > (depths[i - 1] ?? names.length)) from.fail("has a level with more key columns than the one inside it");
  });
  from.end();
  if (levels.length === 0) from.fail("has no levels");
  if (new Set(names).size < names.length) from.fail("has two key columns of one name");
  // An object lists such names first, whatever their order was.
  if (names.some((name) => /^(0|[1-9]\d*)$/.test(name))) from.fail("has a key column whose name is an integer");
  const by = names.length === 0 ? "" : ` by ${names.map((name) => JSON.stringify(name)).join(", ")} (${depths.join(", ")})`;
  return { names, depths, text: `{ ${levels.join(", ")} }${by}` };
}

/** A policy in words. */
export function policyText({ nan, accuracy, nullKeys }: Policy): string {
  return `nan "${nan}", accuracy "${accuracy}", nullKeys "${nullKeys}"`;
}

/** The error for two things of a state that should be one. `here` is what a merge or a caller has, `there` what comes in. */
export function misfit(what: "chain" | "weights" | "policy", here: string, there: string): FourfoldError {
  return new FourfoldError(
    "ERR_FOURFOLD_STATE",
    `the states do not fit: the ${what} here ${what === "weights" ? "are" : "is"} ${here}, there ${there}`,
    {
      given: there,
      expected: here,
      fix: "States merge where chain, key columns, weights and policy are the same",
    },
  );
}
