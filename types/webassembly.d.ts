// The part of the WebAssembly JavaScript interface that Fourfold uses. TypeScript keeps the whole of it
// in lib "dom", which would also bring `window` and friends into a Node library.
declare namespace WebAssembly {
  class Module {
    constructor(bytes: ArrayBufferView | ArrayBuffer);
  }
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
    readonly buffer: SharedArrayBuffer;
    grow(pages: number): number;
  }
  class RuntimeError extends Error {}
}
