/**
 * TensorFlow.js as the embedded backend needs it: both packages, or an error that says how to get them. They are optional peers of
 * Fourfold, so nothing but the entry "fourfold/tfjs" imports this file.
 */
import { FourfoldError } from "../errors.ts";

const VERSION = "4.22.0";

async function load<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new FourfoldError("ERR_FOURFOLD_BACKEND", `fourfold/tfjs needs ${name}, which cannot be loaded`, {
      given: name,
      fix: `Install it: npm install @tensorflow/tfjs-core@${VERSION} @tensorflow/tfjs-backend-cpu@${VERSION}`,
      cause,
    });
  }
}

/** `@tensorflow/tfjs-core`. */
export const core: typeof import("@tensorflow/tfjs-core") = await load("@tensorflow/tfjs-core", () => import("@tensorflow/tfjs-core"));

/** `@tensorflow/tfjs-backend-cpu`, whose import registers its kernels. */
export const cpu: typeof import("@tensorflow/tfjs-backend-cpu") = await load(
  "@tensorflow/tfjs-backend-cpu",
  () => import("@tensorflow/tfjs-backend-cpu"),
);
