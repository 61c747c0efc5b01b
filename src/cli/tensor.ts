/** A tensor at rest as the subject of a run or an explanation. */

import { FourfoldError, nearest, show } from "../errors.ts";
import { openTensor as openSource, readNpy } from "../files/index.ts";
import type { Chain, Engine, Plan, PlanData, Progress, Reduction, RunOptions, TensorSource, TypedData, WeightsInput } from "../index.ts";
import { chain } from "../reduce/chain.ts";
import { count, max, mean, min, sum, variance, weightedMean, weightedSum } from "../reduce/reductions.ts";
import { usageError } from "./args.ts";
import type { AnswerLevel, Question, Subject } from "./question.ts";

const UNWEIGHTED: Readonly<Record<string, () => Reduction>> = { sum, mean, min, max, count, variance };
const WEIGHTED: Readonly<Record<string, (weights: WeightsInput) => Reduction>> = { weightedSum, weightedMean };
/** Bytes read between two looks at the clock and the signal. */
const PIECE_BYTES = 1 << 23;
const NAMES: readonly string[] = [...Object.keys(UNWEIGHTED), ...Object.keys(WEIGHTED)];

/** A tensor and its chain. */
export interface TensorSubject extends Subject {
  /** What a run would do. */
  plan(engine: Engine, options: RunOptions): Promise<PlanData>;
}

interface Watch {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** Reads the weights and the headers of the tensor's file; its values when it runs. */
export async function openTensor(question: Question, { signal, onProgress }: Watch): Promise<TensorSubject> {
  const names = question.reduce.length > 0 ? question.reduce : question.weights.map(() => "weightedSum");
  checkNames(names, question.weights.length);
  const axes = await withSource(question, async (source) => axesOf(source, names.length));
  const weights: WeightsInput[] = [];
  for (const path of question.weights) weights.push(await readWeights(path, signal));
  const levels = chain(...names.map((name) => (Object.hasOwn(WEIGHTED, name) ? WEIGHTED[name]!(weights.shift()!) : UNWEIGHTED[name]!())));
  return {
    levels: columnsOf(levels, axes),
    plan: (engine, options) =>
      withSource(question, async (source) =>
        staysAtRest(question, source) ? engine.planAtRest(levels, source, options) : placedPlan(engine, levels, source, options),
      ),
    run: (engine, options) =>
      withSource(question, async (source) => {
        if (staysAtRest(question, source)) return engine.run(levels, source, options);
        placedPlan(engine, levels, source, {}); // refuses a shape or weights that do not fit before a long reading
        const x = engine.tensor(source.shape!, source.dtype);
        await readAll(source, x.data, { signal, ...(onProgress && { onProgress }) });
        return engine.run(levels, x, options);
      }),
  };
}

/** True where the kernels' threads read the file themselves; what may run elsewhere is read into engine memory first. */
function staysAtRest({ accuracy, backend }: Question, source: TensorSource): boolean {
  return source.shape === undefined || (accuracy !== "fast" && (backend === undefined || backend === "auto" || backend === "wasm"));
}

function placedPlan(engine: Engine, levels: Chain, { shape, dtype }: TensorSource, options: RunOptions): Plan {
  return engine.plan(levels, { ...options, shape: shape!, dtype });
}

async function withSource<T>({ file, tensor }: Question, use: (source: TensorSource) => Promise<T>): Promise<T> {
  const source = await openSource(file, tensor);
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

/** Fills an array with all leaves, a piece at a time. */
async function readAll(source: TensorSource, target: TypedData, { signal, onProgress }: Watch): Promise<void> {
  const total = target.byteLength;
  const piece = PIECE_BYTES / target.BYTES_PER_ELEMENT;
  for (let first = 0; first < target.length; first += piece) {
    const some = target.subarray(first, first + piece);
    await source.read(some, first, { signal });
    onProgress?.({ done: some.byteOffset - target.byteOffset + some.byteLength, total, unit: "bytes" });
  }
}

/** Axes of a shape; of ragged rows as many as there are levels, and one of frames where offsets cut all of them. */
function axesOf({ shape, offsets = [] }: TensorSource, levels: number): number {
  return shape?.length ?? levels + (offsets.length === levels ? 1 : 0);
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
  const frames = Math.max(0, axes - levels.length);
  const frameNames = frames === 1 ? ["frame"] : Array.from({ length: frames }, (_, i) => `frame${i}`);
  return levels.map(({ name }, i) => ({
    name,
    columns: [
      ...frameNames,
      ...levels
        .slice(i, -1)
        .map((level) => level.name)
        .reverse(),
    ],
  }));
}
