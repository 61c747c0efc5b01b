/** An optional peer that is not installed for the compiler. What Fourfold uses of it is declared in src/backends/tfjs.ts. */
declare module "@tensorflow/tfjs-node" {
  const core: unknown;
  export default core;
}
