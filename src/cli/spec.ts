/** A spec as the subject of a run or an explanation. */
import { loadSpec, type Spec } from "../files/index.ts";
import type { Question, Subject } from "./question.ts";

/** Reads and checks the spec; the data stay where they are. */
export async function openSpec(question: Question): Promise<Subject & { readonly spec: Spec }> {
  const spec = await loadSpec(question.file, { allowPaths: question.allowPaths, ...question.limits, ...question.reading });
  return {
    spec,
    levels: spec.levels.map(({ name, by }) => ({ name, columns: by })),
    run: (engine, options) => engine.run(spec, options),
  };
}
