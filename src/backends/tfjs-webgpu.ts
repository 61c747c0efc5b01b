/**
 * A GPU for TensorFlow.js in Node: Dawn (npm's `webgpu`) under TensorFlow.js's WebGPU backend. It starts a device with all that its
 * adapter allows, watches it, and starts another when it failed: WebGPU reports what goes wrong beside the call that caused it, and
 * hands out zeros for results. It knows nothing of chains; what is computed is in tfjs.ts and tfjs-webgpu-kernels.ts.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { FourfoldError } from "../errors.ts";
import { type KernelRegistry, registerKernels } from "./tfjs-webgpu-kernels.ts";

/** The adapter that a device is of. */
export interface Adapter {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  /** True if the CPU does its work. */
  readonly software: boolean;
}

/** The part of a WebGPU device that this file uses. */
interface GpuDevice {
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  readonly limits: GpuLimits;
  readonly queue: { onSubmittedWorkDone(): Promise<void> };
  addEventListener(
    type: "uncapturederror",
    listener: (event: { readonly error: { readonly message: string }; preventDefault(): void }) => void,
  ): void;
}

interface GpuLimits {
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
}

interface GpuAdapter {
  readonly limits: Readonly<Record<string, number>>;
  readonly info: {
    readonly vendor: string;
    readonly architecture: string;
    readonly device: string;
    readonly description: string;
    readonly isFallbackAdapter?: boolean;
  };
  requestDevice(descriptor: { requiredLimits: Record<string, number> }): Promise<GpuDevice>;
}

interface Gpu {
  requestAdapter(options: { powerPreference: "high-performance" }): Promise<GpuAdapter | null>;
}

/** Buffers that TensorFlow.js keeps for tensors of the same size. */
interface BufferManager {
  numBytesAllocated: number;
  numBytesUsed: number;
  numFreeBuffers: number;
  readonly freeBuffers: Map<string, { readonly size: number; destroy(): void }[]>;
}

/** TensorFlow.js's WebGPU backend. */
interface WebgpuBackend {
  readonly device: GpuDevice;
  readonly bufferManager: BufferManager;
}

/** What is known of a started backend beside what TensorFlow.js keeps. */
interface Watch {
  /** The options that it was started with. */
  readonly how: string;
  readonly adapter: Adapter;
  readonly tensorBytesMax: number;
  /** What went wrong first: then the device is not used again. */
  fault: Error | undefined;
  /** Starts another device like this one. */
  another(): Promise<WebgpuBackend>;
  /** The device that is started in its place. */
  successor: Promise<WebgpuBackend> | undefined;
}

/** The part of `@tensorflow/tfjs-core` that this file uses. */
interface Core extends KernelRegistry {
  env(): { set(flag: string, value: boolean | number): void };
  getBackend(): string;
  setBackend(name: string): Promise<boolean>;
  findBackend(name: string): unknown;
  findBackendFactory(name: string): object | undefined;
  removeBackend(name: string): void;
  registerBackend(name: string, factory: () => unknown, priority: number): boolean;
}

/** How to start devices. */
export interface WebgpuOptions {
  /** Dawn's flags: `backend=vulkan` and the like. Default: what the system has. */
  readonly flags?: readonly string[];
  /** Bytes that one tensor may have; the device's own limit if that is less. */
  readonly tensorBytesMax?: number;
}

const BACKEND = "webgpu";

/** The interface of the system that Dawn uses. */
const SYSTEM: Readonly<Partial<Record<NodeJS.Platform, string>>> = { win32: "d3d12", darwin: "metal" };

/** TensorFlow.js's MatMulPackedProgram. The one that it would choose for long rows leaves out a bounds check: its sums are wrong. */
const MATMUL_PACKED = 3;

/** Limits that a device has only if it asks for them. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** Free device memory that is kept for tensors to come. */
const FREE_BYTES_MAX = 256 << 20;

/** What Dawn's create() gave, by its flags. It must outlive its devices, or the process crashes: so it is never collected. */
const instances = new Map<string, Gpu>();

/** The devices in use, by their TensorFlow.js backend. */
const watches = new WeakMap<object, Watch>();

/** What we registered with TensorFlow.js. */
const factories = new WeakSet<object>();

/**
 * Imports TensorFlow.js, starts a device and registers it as TensorFlow.js's WebGPU backend; gives what TensorFlow.js's core exports.
 * A device that it started before, with the same options, is kept while it works.
 * @throws Error if there is no adapter
 */
export async function loadWebgpu(options: WebgpuOptions = {}): Promise<unknown> {
  const { flags = [`backend=${SYSTEM[process.platform] ?? "vulkan"}`], tensorBytesMax = Number.POSITIVE_INFINITY } = options;
  const how = `${flags} ${tensorBytesMax}`;
  const gpu = await instanceOf(flags);
  const core = await import("@tensorflow/tfjs-core");
  const { WebGPUBackend } = await import("@tensorflow/tfjs-backend-webgpu");
  const tf = core as unknown as Core;
  const ours = factories.has(tf.findBackendFactory(BACKEND) ?? {});
  const before = ours ? watchOf(tf.findBackend(BACKEND)) : undefined;
  if (before?.how === how && !before.fault) return core;
  tf.env().set("WEBGPU_CPU_FORWARD", false); // small tensors, too, are computed by the device that was asked for
  tf.env().set("WEBGPU_MATMUL_PROGRAM_TYPE", MATMUL_PACKED);
  const backend = await start(gpu, WebGPUBackend as BackendClass, how, tensorBytesMax);
  if (!ours) registerKernels(tf, BACKEND);
  register(tf, backend);
  return core;
}

async function instanceOf(flags: readonly string[]): Promise<Gpu> {
  const { create, globals } = await import("webgpu");
  const key = flags.join();
  let gpu = instances.get(key);
  if (gpu === undefined) {
    gpu = create([...flags]) as Gpu;
    instances.set(key, gpu);
    Object.assign(globalThis, globals);
  }
  // TensorFlow.js looks for it when it is imported, and whenever a backend is made. Node 20 has no navigator.
  const here = globalThis as { navigator?: object };
  here.navigator ??= {};
  Object.defineProperty(here.navigator, "gpu", { value: gpu, configurable: true });
  return gpu;
}

type BackendClass = new (device: GpuDevice, info: GpuAdapter["info"]) => WebgpuBackend;

async function start(gpu: Gpu, Backend: BackendClass, how: string, tensorBytesMax: number): Promise<WebgpuBackend> {
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) throw new Error("there is no GPU adapter here: Dawn found no driver that it can use");
  const { limits, info } = adapter;
  const device = await adapter.requestDevice({
    requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, limits[name]!])),
  });
  const backend = new Backend(device, info);
  const watch: Watch = {
    how,
    adapter: {
      vendor: info.vendor,
      architecture: info.architecture,
      description: info.description || info.device,
      software: info.isFallbackAdapter === true,
    },
    tensorBytesMax: Math.min(tensorBytesMax, device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize),
    fault: undefined,
    another: () => start(gpu, Backend, how, tensorBytesMax),
    successor: undefined,
  };
  watches.set(backend, watch);
  device.addEventListener("uncapturederror", (event) => {
    event.preventDefault(); // Dawn would print it
    watch.fault ??= new Error(event.error.message);
  });
  void device.lost.then(({ reason, message }) => {
    watch.fault ??= new Error(`it was lost (${reason}): ${message}`);
  });
  return backend;
}

/** Makes `backend` what TensorFlow.js calls "webgpu", in the place of what was; its own choice of a backend stays. */
function register(tf: Core, backend: WebgpuBackend): void {
  const factory = (): WebgpuBackend => backend;
  factories.add(factory);
  const chosen = tf.getBackend() === BACKEND;
  if (tf.findBackendFactory(BACKEND)) tf.removeBackend(BACKEND);
  tf.registerBackend(BACKEND, factory, 0);
  if (chosen) void tf.setBackend(BACKEND); // set before the first await inside, as the factory waits for nothing
}

function watchOf(backend: unknown): Watch {
  return watches.get(backend as object)!;
}

/** The adapter in words: `nvidia ampere, NVIDIA A10G`. */
export function adapterOf(backend: unknown): string {
  const { vendor, architecture, description, software } = watchOf(backend).adapter;
  return `${[vendor, architecture].filter((word) => word !== "").join(" ")}, ${description}${software ? " (software: the CPU does its work)" : ""}`;
}

/** True if the CPU does the work of a started backend's adapter. */
export function isSoftware(backend: unknown): boolean {
  return watchOf(backend).adapter.software;
}

/** Bytes that one tensor may have on a started backend. */
export function tensorBytesMaxOf(backend: unknown): number {
  return watchOf(backend).tensorBytesMax;
}

/**
 * Runs `work` on the device. It is called before this returns, unless the device failed before: then another one is started first.
 * @throws FourfoldError ERR_FOURFOLD_DEVICE if the device was lost, ran out of memory or refused a command, whatever the work gave
 */
export async function onDevice<T>(core: unknown, work: () => Promise<T>): Promise<T> {
  const tf = core as Core;
  let backend = tf.findBackend(BACKEND) as WebgpuBackend;
  if (watchOf(backend).fault) backend = await replace(tf, watchOf(backend));
  const watch = watchOf(backend);
  try {
    const result = await work();
    // What was submitted may fail after its results were read.
    await backend.device.queue.onSubmittedWorkDone();
    if (watch.fault) throw watch.fault;
    await trim(backend.bufferManager);
    return result;
  } catch (error) {
    if (error instanceof FourfoldError) throw error;
    await nextTurn(); // a lost device says why a turn later than the read that it fails
    watch.fault ??= error as Error;
    throw failed(watch.fault);
  }
}

/** Puts another device in the place of a failed one. Runs that find it failed at the same time share the other one. */
async function replace(tf: Core, failing: Watch): Promise<WebgpuBackend> {
  failing.successor ??= failing.another().then((backend) => {
    register(tf, backend);
    return backend;
  });
  try {
    return await failing.successor;
  } catch (error) {
    failing.successor = undefined;
    throw failed(error);
  }
}

function failed(cause: unknown): FourfoldError {
  const why = cause instanceof Error ? cause.message.split("\n")[0]! : String(cause);
  return new FourfoldError("ERR_FOURFOLD_DEVICE", `the device of backend "${BACKEND}" failed: ${why}`, {
    fix: 'Run again: another device is started. If it fails again, use backend "wasm"',
    cause,
  });
}

/** Gives back the memory of tensors that are gone, where it is more than the next run is likely to use. */
async function trim(manager: BufferManager): Promise<void> {
  if (manager.numBytesAllocated - manager.numBytesUsed <= FREE_BYTES_MAX) return;
  // The lists stay: buffers in use come back to them.
  for (const buffers of manager.freeBuffers.values())
    for (const buffer of buffers.splice(0)) {
      buffer.destroy();
      manager.numBytesAllocated -= buffer.size;
      manager.numFreeBuffers--;
    }
  await nextTurn(); // Dawn frees them when the event loop turns
}
