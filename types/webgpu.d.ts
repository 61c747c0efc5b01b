/** Optional peers that are not installed for the compiler. What Fourfold uses of them is declared in src/backends/tfjs-webgpu.ts. */
declare module "webgpu" {
  export const create: (flags: string[]) => unknown;
  export const globals: object;
}
declare module "@tensorflow/tfjs-backend-webgpu" {
  export const WebGPUBackend: unknown;
}
