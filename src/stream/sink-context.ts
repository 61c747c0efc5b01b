/** What a stream tells its sink about the rows to come. */
import type { StreamSetup } from "./options.ts";
import type { SinkContext } from "./types.ts";

/** The kept levels of a stream: a frame's own result has one, without keys. */
export function sinkContextOf({ chain, outer, kept, keys }: StreamSetup): SinkContext {
  let outputs = 1;
  const levels = chain.levels.map(({ name, reduction }) => {
    if (reduction.weights?.form === "matrix") outputs = reduction.weights.rows; // the levels above it have as many
    return { name, outputs, keys: [] as readonly string[] };
  });
  if (outer === undefined) return { levels: levels.slice(-1) };
  const own = levels.slice(-outer.levels.length).map((level, i) => ({ ...level, keys: keys.names.slice(0, keys.depths[i]!) }));
  return { levels: own.filter((_, i) => kept[i]) };
}
