/** A dense tensor from NPY files as the subject of a run or an explanation. Its values go from the file straight into engine memory. */

import { FourfoldError, nearest, show } from "../errors.ts";
import { type NpyFile, openNpy, readNpy } from "../files/index.ts";
import type { Chain, Engine, Plan, PlanOptions, Progress, Reduction, Tensor, WeightsInput } from "../index.ts";
import { chain } from "../reduce/chain.ts";
import { count, max, mean, min, sum, variance, weightedMean, weightedSum } from "../reduce/reductions.ts";
import { indexNames } from "../reduce/result-levels.ts";
import { usageError } from "./args.ts";
import type { AnswerLevel, Question, Subject } from "./question.ts";

const UNWEIGHTED: Readonly<Record<string, () => Reduction>> = { sum, mean, min, max, count, variance };
const WEIGHTED: Readonly<Record<string, (weights: WeightsInput) => Reduction>> = { weightedSum, weightedMean };
const NAMES: readonly string[] = [...Object.keys(UNWEIGHTED), ...Object.keys(WEIGHTED)];

/** A tensor and its chain. */
export interface TensorSubject extends Subject {
  plan(engine: Engine, options: Omit<PlanOptions, "shape" | "dtype">): Plan;
}

interface Watch {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** Reads the weights and the header of the tensor's file; its values when it runs. */
export async function openTensor(question: Question, { signal, onProgress }: Watch): Promise<TensorSubject> {
  const names = question.reduce.length > 0 ? question.reduce : question.weights.map(() => "weightedSum");
  checkNames(names, question.weights.length);
  const { shape, dtype } = await withNpy(question.file, async (header) => header);
  const weights: WeightsInput[] = [];
  for (const path of question.weights) weights.push(await readWeights(path, signal));
  const levels = chain(...names.map((name) => (Object.hasOwn(WEIGHTED, name) ? WEIGHTED[name]!(weights.shift()!) : UNWEIGHTED[name]!())));
  return {
    levels: columnsOf(levels, shape.length),
    plan: (engine, options) => engine.plan(levels, { ...options, shape, dtype }),
    run: async (engine, options) => {
      engine.plan(levels, { shape, dtype }); // refuses a shape or weights that do not fit before a long reading
      const x: Tensor = engine.tensor(shape, dtype);
      await withNpy(question.file, (file) => file.readInto(x.data, { signal, ...(onProgress === undefined ? {} : { onProgress }) }));
      return engine.run(levels, x, options);
    },
  };
}

async function withNpy<T>(path: string, use: (file: NpyFile) => Promise<T>): Promise<T> {
  const file = await openNpy(path);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

function checkNames(names: readonly string[], weights: number): void {
  if (names.length === 0) throw usageError("a tensor needs --weights or --reduce", "For example --reduce sum,mean,max, innermost first");
  for (const name of names) {
    if (NAMES.includes(name)) continue;
    const meant = nearest(name, NAMES);
    throw usageError(
      `--reduce: there is no reduction ${show(name)}`,
      meant === undefined ? `The reductions are ${NAMES.join(", ")}` : `Did you mean ${meant}?`,
      name,
    );
  }
  const weighted = names.filter((name) => Object.hasOwn(WEIGHTED, name)).length;
  if (weighted !== weights)
    throw usageError(
      `--reduce names ${weighted} weighted levels, --weights ${weights} files`,
      "Give one file for each weightedSum and weightedMean, innermost first",
      weights,
    );
}

/** A vector, or a matrix with a row for each output. */
async function readWeights(path: string, signal: AbortSignal): Promise<WeightsInput> {
  const { shape, data } = await readNpy(path, { signal });
  const values = Float64Array.from(data);
  if (shape.length === 1) return values;
  const [rows, extent] = shape;
  if (shape.length === 2 && rows! > 0) return Array.from({ length: rows! }, (_, r) => values.subarray(r * extent!, (r + 1) * extent!));
  throw new FourfoldError(
    "ERR_FOURFOLD_WEIGHTS",
    `the weights ${path} have the shape [${shape.join(", ")}], expected one dimension (a vector) or two (a matrix)`,
    {
      given: shape,
      expected: "one or two dimensions",
      at: { file: path },
      fix: "Reshape them, for example with weights.ravel()",
    },
  );
}

/** A node's path is the index of its frame, then its index in each level around it, outermost first. */
function columnsOf({ levels }: Chain, axes: number): AnswerLevel[] {
  const names = levels.map(({ name }) => name);
  return names.map((name, i) => ({ name, columns: indexNames(names, i, Math.max(0, axes - names.length)) }));
}
