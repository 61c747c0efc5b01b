/** What a checkpoint of a stream holds: which stream it is, where its sources and its sink stand, its weights, its counts and its windows. */
import { createHash } from "node:crypto";
import { FourfoldError } from "../errors.ts";
import { ByteReader, ByteWriter } from "../reduce/bytes.ts";
import { layoutOf } from "../reduce/layout.ts";
import { sum } from "../reduce/reductions.ts";
import type { StreamSetup } from "./options.ts";
import type { Positions } from "./positions.ts";
import type { SinkPosition } from "./types.ts";
import type { ChainVersions } from "./versions.ts";
import { windowingText } from "./windowing.ts";
import type { Windows } from "./windows.ts";

/** Counts that go on after a restart. */
export interface Counts {
  rowsIn: number;
  resultsOut: number;
  late: number;
  dropped: number;
  rejected: number;
  /** Frames that have had their result. */
  frames: number;
}

/** The parts of a stream that a checkpoint keeps. */
export interface Content {
  readonly identity: readonly (readonly [what: string, text: string])[];
  readonly positions: Positions;
  readonly versions: ChainVersions;
  readonly windows: Windows | undefined;
  readonly counts: Counts;
}

const FORMAT = 1;

/** What makes a stream the one that a checkpoint is of. */
export function identityOf(setup: StreamSetup, sources: readonly string[]): Content["identity"] {
  const { chain, rank, keys, policy, frame, windowing, childWeights } = setup;
  // Weights of the innermost level are part of the chain where frames are reduced by it: a level inside it makes it one of the others.
  const levels = rank === 0 ? chain.levels : [{ name: "", reduction: sum() }, ...chain.levels];
  const layout = layoutOf({ levels }, keys, policy);
  return [
    ["chain", hashOf(layout.chain)],
    ["weights", hashOf(layout.weights)],
    ["policy", Object.values(policy).join(", ")],
    ["frame", frame ? `[${frame.shape.join(", ")}] ${frame.dtype}` : "none"],
    ["window", windowingText(windowing)],
    ["child weights", childWeights.join(", ") || "none"],
    ["sources", sources.join(", ")],
  ];
}

/** Writes a checkpoint. */
export function writeContent({ identity, positions, versions, windows, counts }: Content, sink: SinkPosition | undefined): Uint8Array {
  const to = new ByteWriter();
  to.byte(FORMAT);
  for (const [, text] of identity) to.text(text);
  positions.write(to);
  versions.write(to);
  for (const count of Object.values(counts)) to.unsigned(count);
  to.text(sink === undefined ? "" : JSON.stringify(sink));
  windows?.write(to);
  return to.finish();
}

/** Reads a checkpoint into a stream's parts; gives where the sink stood. @throws FourfoldError ERR_FOURFOLD_CHECKPOINT if it is of another stream */
export function readContent(
  bytes: Uint8Array,
  { identity, positions, versions, windows, counts }: Content,
  dir: string,
): SinkPosition | undefined {
  const from = new ByteReader(bytes);
  const format = from.byte();
  if (format !== FORMAT) throw other(dir, "format", String(format), String(FORMAT));
  for (const [what, mine] of identity) {
    const theirs = from.text();
    if (theirs !== mine) throw other(dir, what, theirs, mine);
  }
  positions.read(from);
  versions.read(from);
  for (const name of Object.keys(counts) as (keyof Counts)[]) counts[name] = from.unsigned();
  const sink = from.text();
  windows?.read(from);
  from.end();
  return sink === "" ? undefined : positionOf(sink, from);
}

function other(dir: string, what: string, theirs: string, mine: string): FourfoldError {
  const plural = what === "sources" || what.endsWith("weights");
  const told = what === "chain" || what === "weights" ? "" : `: ${plural ? "they are" : "it is"} ${theirs} there, ${mine} here`;
  return new FourfoldError(
    "ERR_FOURFOLD_CHECKPOINT",
    `the checkpoint in "${dir}" is of a stream with ${plural ? "other" : "another"} ${what}${told}`,
    {
      given: mine,
      expected: theirs,
      fix: "Use another folder, or remove this one to start again",
      at: { file: dir },
    },
  );
}

function positionOf(text: string, from: ByteReader): SinkPosition {
  try {
    const position: unknown = JSON.parse(text);
    if (typeof position === "object" && position !== null) return position as SinkPosition;
  } catch {
    // as below
  }
  return from.fail("has a position of the sink that is no JSON object");
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
