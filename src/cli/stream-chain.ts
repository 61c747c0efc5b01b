/** A spec as what a stream takes: the chain, its keys and windows, and which columns of a record are what. */
import type { StreamSpec } from "../files/index.ts";
import {
  type Chain,
  chain,
  count,
  max,
  mean,
  min,
  type Reduction,
  type StreamOptions,
  sum,
  variance,
  type WeightsInput,
  weightedMean,
  weightedSum,
} from "../index.ts";
import type { SourceOptions } from "../stream/index.ts";

/** What {@link streamOf} gives. */
export interface SpecAsStream {
  readonly chain: Chain;
  readonly options: Pick<StreamOptions, "keys" | "by" | "nan" | "nullKeys" | "childWeights" | "window">;
  /** For readers of records. */
  readonly source: Pick<SourceOptions, "fields" | "timeUnit">;
}

type Level = StreamSpec["levels"][number];

/** Makes the chain of a spec; weights that tables hold are read now. @throws FourfoldError what those tables have wrong */
export async function streamOf(spec: StreamSpec, signal: AbortSignal): Promise<SpecAsStream> {
  const { levels, value, nan, nullKeys, stream } = spec;
  const reductions: Record<string, Reduction> = {};
  const childWeights: Record<string, string> = {};
  let weight: string | undefined;
  for (const [i, level] of levels.entries()) {
    reductions[level.name] = reductionOf(level, await weightsOf(spec, level, signal));
    const { weights } = level;
    if (typeof weights !== "object" || !("column" in weights)) continue;
    if (i === 0) weight = weights.column;
    else childWeights[level.name] = weights.column;
  }
  const { time, timeUnit, window } = stream;
  return {
    chain: chain(reductions),
    options: {
      keys: levels[0]!.by,
      by: levels.map(({ by }) => by),
      nan,
      nullKeys,
      childWeights: Object.keys(childWeights),
      ...(window && { window }),
    },
    source: {
      fields: { value, childWeights, ...(time !== undefined && { time }), ...(weight !== undefined && { weight }) },
      ...(timeUnit && { timeUnit }),
    },
  };
}

async function weightsOf(spec: StreamSpec, { name, weights }: Level, signal: AbortSignal): Promise<WeightsInput | undefined> {
  if (typeof weights !== "object") return weights;
  if ("table" in weights) {
    const { missing } = weights;
    return { byKey: await spec.weightsOf(name, signal), ...(missing !== undefined && { missing }) };
  }
  return "column" in weights ? { perNode: [] } : weights;
}

function reductionOf({ reduce, ddof }: Level, weights: WeightsInput | undefined): Reduction {
  switch (reduce) {
    case "weightedSum":
      return weightedSum(weights!);
    case "weightedMean":
      return weightedMean(weights!);
    case "variance":
      return variance(ddof === undefined ? {} : { ddof });
    default:
      return { sum, mean, min, max, count }[reduce]();
  }
}
