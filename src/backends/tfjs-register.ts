/**
 * Registers the embedded backend with TensorFlow.js: the cpu backend's kernels under the name "fourfold", and ours over them.
 */
import { badOption, FourfoldError } from "../errors.ts";
import { loadKernelModule } from "./kernels.ts";
import { RESIDENT_BYTES_MAX } from "./resident.ts";
import { FourfoldBackend } from "./tfjs-backend.ts";
import { core } from "./tfjs-modules.ts";
import { OPERATIONS, type Operation } from "./tfjs-operations.ts";

const NAME = "fourfold";

/** Options of {@link registerFourfold}. */
export interface TfjsOptions {
  /**
   * Bytes of tensors that may have a copy in kernel memory, so that operations need not copy them again; 1 GiB if left out.
   * Tensors beyond it are copied piece by piece for each operation. From 0 to 3.75 GiB.
   */
  readonly memoryBytesMax?: number;
}

/**
 * Makes the TensorFlow.js backend `"fourfold"` available: `tf.setBackend("fourfold")` then takes it. Registering again with
 * the same options does nothing; after `tf.removeBackend("fourfold")` it may be registered with others.
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT for options that do not fit, or that differ from those it is registered with
 */
export function registerFourfold(options: TfjsOptions = {}): void {
  const { memoryBytesMax = 2 ** 30 } = options;
  if (!Number.isSafeInteger(memoryBytesMax) || memoryBytesMax < 0 || memoryBytesMax > RESIDENT_BYTES_MAX)
    throw badOption("memoryBytesMax", memoryBytesMax, `an integer from 0 to ${RESIDENT_BYTES_MAX}`);
  const registered = core.findBackendFactory(NAME) as Factory | null;
  if (registered) {
    if (registered.memoryBytesMax === memoryBytesMax) return;
    throw new FourfoldError(
      "ERR_FOURFOLD_ARGUMENT",
      `the backend "${NAME}" is registered with memoryBytesMax ${registered.memoryBytesMax}`,
      {
        given: memoryBytesMax,
        expected: registered.memoryBytesMax,
        fix: `Call tf.removeBackend("${NAME}") first`,
      },
    );
  }
  registerKernels();
  let module: WebAssembly.Module | undefined;
  const factory: Factory = Object.assign(
    () => {
      module ??= loadKernelModule();
      return new FourfoldBackend(module, memoryBytesMax);
    },
    { memoryBytesMax },
  );
  core.registerBackend(NAME, factory, 0); // below the cpu backend, so that nobody gets it who did not ask for it
}

/** Makes backends, and remembers with what. */
type Factory = (() => FourfoldBackend) & { readonly memoryBytesMax: number };

/** Kernels stay when a backend is removed, as those of TensorFlow.js do. */
function registerKernels(): void {
  for (const config of core.getKernelsForBackend("cpu")) {
    const { kernelName } = config;
    if (core.getKernel(kernelName, NAME)) continue;
    const own: Operation | undefined = OPERATIONS[kernelName];
    core.registerKernel({ ...config, backendName: NAME, ...(own && { kernelFunc: own as never }) });
  }
}
