// How a tensor backend is loaded, and what is said where it is not there.
import { describe, expect, test } from "vitest";
import type { TensorBackendName } from "../../src/backends/tensor-backends.ts";
import { loadTfjs } from "../../src/backends/tfjs.ts";
import { failing } from "../failing.ts";

const COMMANDS: Readonly<Record<TensorBackendName, string>> = {
  "tfjs-cpu": "npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0",
  "tfjs-wasm": "npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0",
  tensorflow: "npx fourfold setup tensorflow",
  webgpu: "npx fourfold setup webgpu",
};

describe.each(Object.entries(COMMANDS) as [TensorBackendName, string][])("backend %s", (name, command) => {
  test("that is not installed is named with the command that installs it", async () => {
    const absent = Object.assign(new Error("Cannot find package '@tensorflow/…'"), { code: "ERR_MODULE_NOT_FOUND" });
    const error = await failing(() => loadTfjs(name, () => Promise.reject(absent)));
    expect([error.code, error.fix, error.cause]).toEqual(["ERR_FOURFOLD_BACKEND", `Run: ${command}`, absent]);
    expect(error.message).toContain(`"${name}" is not installed`);
  });

  test("that does not load gives its reason and the same command", async () => {
    const error = await failing(() =>
      loadTfjs(name, () => Promise.reject(new TypeError("libtensorflow.so.2: cannot open shared object file"))),
    );
    expect([error.code, error.fix]).toEqual(["ERR_FOURFOLD_BACKEND", `Run: ${command}`]);
    expect(error.message).toContain("did not load: libtensorflow.so.2: cannot open shared object file");
  });
});

test("a package without its native part counts as not installed", async () => {
  const error = new Error(
    "The Node.js native addon module (tfjs_binding.node) can not be found at path: lib/napi-v8. \nPlease run command …",
  );
  expect((await failing(() => loadTfjs("tensorflow", () => Promise.reject(error)))).message).toContain("is not installed");
});

describe("the native library", () => {
  const core = (version: unknown): unknown => ({
    getBackend: () => "tensorflow",
    setBackend: () => Promise.resolve(true),
    findBackend: () => ({ binding: { TF_Version: version } }),
  });
  test.each(["2.7.4", "2.9.1", "2.10.1", "2.15.1", "2.16.2"])("%s is used", async (version) => {
    expect(await loadTfjs("tensorflow", async () => core(version))).toMatchObject({ name: "tensorflow", version });
  });
  test.each(["2.6.0", "2.17.0", "2.18.1", "3.10.0", "1.15.0", undefined])("%s is refused: its results may be wrong", async (version) => {
    const error = await failing(() => loadTfjs("tensorflow", async () => core(version)));
    expect(error.message).toContain(`the TensorFlow library is version ${version}, it works with 2.7 to 2.16`);
  });
});
