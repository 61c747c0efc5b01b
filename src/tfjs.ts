/** The public names of "fourfold/tfjs": Fourfold as a backend of TensorFlow.js. */
export { registerFourfold, type TfjsOptions } from "./backends/tfjs-register.ts";
