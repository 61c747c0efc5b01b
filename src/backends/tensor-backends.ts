/**
 * What is known of the tensor backends before one is loaded: their names, packages and arithmetic, and what tensors cannot do. They keep
 * no contract: their results are `fast` and carry the bound of reduce/bound.ts. Nothing here loads anything.
 */
import { FourfoldError } from "../errors.ts";
import { type Arithmetic, GPU_F32, TENSOR_F32 } from "../reduce/bound.ts";
import type { Fitted } from "../reduce/resolve.ts";

/** What is known of a tensor backend. */
interface Facts {
  readonly arithmetic: Arithmetic;
  readonly packages: readonly string[];
  /** A file of the first package that its tarball lacks: without it the package is there and does not work. */
  readonly file: string | undefined;
  /** The command that gets it. */
  readonly command: string;
}

const VERSION = "4.22.0";

/** The names of the tensor backends. */
export type TensorBackendName = "tensorflow" | "webgpu" | "tfjs-cpu" | "tfjs-wasm";

/** The tensor backends that `auto` may choose where they are installed. The others are there to compare with. */
export const AUTO_BACKENDS: readonly TensorBackendName[] = ["tensorflow", "webgpu"];

/** True for the name of a tensor backend. */
export function isTensorBackend(name: string | undefined): name is TensorBackendName {
  return name !== undefined && Object.hasOwn(TENSOR_BACKENDS, name);
}

/** The packages of a tensor backend, and the file without which they cannot work, if it is not theirs. */
export function partsOf(name: TensorBackendName): { readonly packages: readonly string[]; readonly file: string | undefined } {
  return TENSOR_BACKENDS[name];
}

/** The tensor backends. */
export const TENSOR_BACKENDS: Readonly<Record<TensorBackendName, Facts>> = {
  "tfjs-cpu": {
    arithmetic: TENSOR_F32,
    packages: ["@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-cpu"],
    file: undefined,
    command: `npm install @tensorflow/tfjs-core@${VERSION} @tensorflow/tfjs-backend-cpu@${VERSION}`,
  },
  "tfjs-wasm": {
    arithmetic: TENSOR_F32,
    packages: ["@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-wasm"],
    file: undefined,
    command: `npm install @tensorflow/tfjs-core@${VERSION} @tensorflow/tfjs-backend-wasm@${VERSION}`,
  },
  tensorflow: {
    arithmetic: TENSOR_F32,
    packages: ["@tensorflow/tfjs-node"],
    file: "lib/napi-v8/tfjs_binding.node",
    command: "npx fourfold setup tensorflow",
  },
  webgpu: {
    arithmetic: GPU_F32,
    packages: ["webgpu", "@tensorflow/tfjs-backend-webgpu", "@tensorflow/tfjs-core"],
    file: undefined,
    command: "npx fourfold setup webgpu",
  },
};

/** How a backend rounds. */
export function arithmeticOf(name: TensorBackendName): Arithmetic {
  return TENSOR_BACKENDS[name].arithmetic;
}

/** Refuses what tensors cannot do. @throws FourfoldError ERR_FOURFOLD_ACCURACY unless the accuracy is `fast` and all reductions are built in */
export function refuse(fitted: Fitted, name: TensorBackendName): void {
  const fix = 'Use backend "wasm", or leave the choice to "auto"';
  if (fitted.accuracy !== "fast")
    throw new FourfoldError(
      "ERR_FOURFOLD_ACCURACY",
      `backend "${name}" computes in float32 and cannot keep accuracy "${fitted.accuracy}"`,
      {
        given: fitted.accuracy,
        expected: "fast",
        fix: `${fix}; with accuracy "fast" the result carries its error bound`,
      },
    );
  for (const { name: level, reduction } of fitted.levels)
    if (reduction.kind === "user")
      throw new FourfoldError(
        "ERR_FOURFOLD_ACCURACY",
        `backend "${name}" cannot run reduction "${reduction.name}" of level "${level}": it is not a tensor operation`,
        {
          given: reduction.name,
          fix,
          at: { level },
        },
      );
}
