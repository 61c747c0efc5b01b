/** What a stream gives: the result of a window's firing, or of one frame. */
import { FourfoldError } from "../errors.ts";
import { type Chain, withWeights } from "../reduce/chain.ts";
import type { Policy } from "../reduce/layout.ts";
import { asChildren, levelFAsSum, reduceLevels } from "../reduce/levels.ts";
import { fit, resultShape } from "../reduce/resolve.ts";
import { type LevelValues, type LevelView, levelView, onlyValue, outputsLast } from "../reduce/result.ts";
import type { WeightsInput } from "../reduce/weights.ts";
import { CONTRACT_VERSION } from "../types.ts";
import { withChildWeights } from "./closing.ts";
import type { Pane, StreamResult } from "./types.ts";
import type { Fired } from "./windows.ts";

/** The closed nodes of a firing, with what they were closed by. */
export interface Closing {
  readonly chain: Chain;
  readonly policy: Policy;
}

/** The result of a pane. */
export class PaneResult implements StreamResult {
  readonly pane: Pane;
  readonly frame: undefined;
  readonly watermark: number;
  readonly weightsVersion: number;
  readonly contract: string = CONTRACT_VERSION;
  readonly values: Float64Array;
  readonly shape: readonly number[];
  readonly #closed: Fired["closed"];
  readonly #closing: Closing;

  constructor({ pane, watermark, version, closed }: Fired, closing: Closing) {
    this.pane = pane;
    this.watermark = watermark;
    this.weightsVersion = version;
    this.#closed = closed;
    this.#closing = closing;
    const { outermost, outputs, tree } = closed;
    this.values = outputsLast(outermost.values, outermost.outputs);
    this.shape = resultShape(tree.frames, outputs);
  }

  get id(): string {
    const { start, end, index } = this.pane;
    return `${start}..${end}/${index}`;
  }

  get value(): number {
    return onlyValue(this.values, this.shape);
  }

  get records(): number {
    return this.#closed.records;
  }

  level(name: string): LevelView {
    return levelView({ ...this.#closed, leaves: { at: noLeaves } }, name);
  }

  whatIf(level: string, weights: WeightsInput): StreamResult {
    const { chain, policy } = this.#closing;
    const index = chain.levels.findIndex(({ name }) => name === level);
    const changed = withWeights(chain, level, weights);
    const below = index > 0 ? this.#closed.values[index - 1] : undefined;
    if (below === undefined)
      throw new FourfoldError("ERR_FOURFOLD_LEVEL", `what-if: the children of level "${level}" were not kept`, {
        given: level,
        fix: index > 0 ? 'Ask the stream to keep them: keep: "all"' : "Weights of the innermost level come with the records",
        at: { level },
      });
    return new PaneResult({ ...this.#fired(), closed: this.#reduce(changed, index, below) }, { chain: changed, policy });
  }

  #fired(): Fired {
    return { pane: this.pane, watermark: this.watermark, version: this.weightsVersion, closed: this.#closed };
  }

  /** The levels from `index` on, over the values below them. */
  #reduce(chain: Chain, index: number, below: LevelValues): Fired["closed"] {
    const { tree, keys, values, childWeights } = this.#closed;
    const { nan, accuracy } = this.#closing.policy;
    const fitted = fit(levelFAsSum(withChildWeights(chain, childWeights)), tree, nan, accuracy, undefined, keys);
    const above = reduceLevels(fitted, index, asChildren(below, nan));
    const all = [...values.slice(0, index), ...above];
    return {
      ...this.#closed,
      values: all.map((level, i) => (values[i] === undefined ? undefined : level)),
      outermost: above.at(-1)!,
      outputs: fitted.outputs,
      weighing: fitted.levels,
    };
  }
}

/** The result of one frame. */
export class FrameResult implements StreamResult {
  readonly pane: undefined;
  readonly frame: number;
  readonly records: number;
  readonly weightsVersion: number;
  readonly watermark: number = Number.NEGATIVE_INFINITY;
  readonly contract: string = CONTRACT_VERSION;
  readonly values: Float64Array;
  readonly shape: readonly number[];

  constructor(frame: number, values: Float64Array, shape: readonly number[], records: number, weightsVersion: number) {
    this.frame = frame;
    this.values = values;
    this.shape = shape;
    this.records = records;
    this.weightsVersion = weightsVersion;
  }

  get id(): string {
    return `frame ${this.frame}`;
  }

  get value(): number {
    return onlyValue(this.values, this.shape);
  }

  level(name: string): LevelView {
    throw new FourfoldError("ERR_FOURFOLD_LEVEL", `a frame's result keeps no nodes, level ${JSON.stringify(name)} was asked for`, {
      given: name,
      fix: 'Run the chain over the frame with engine.run(chain, frame, { keep: "all" })',
    });
  }

  whatIf(): StreamResult {
    return this.level("") as never;
  }
}

function noLeaves(): never {
  throw new FourfoldError("ERR_FOURFOLD_LEVEL", "a stream keeps no records, only what they add up to", {
    fix: "Read the nodes of the innermost level, or run the chain over the records themselves",
  });
}
