// Runs TensorFlow.js's own specs on the backend "fourfold", or another: node specs-child.mjs BACKEND FILE… Prints one JSON line: the
// specs that ran, by full name, with what failed in them.
import { createRequire, register } from "node:module";
import { pathToFileURL } from "node:url";

const [backend, ...files] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const core = new URL("./", pathToFileURL(require.resolve("@tensorflow/tfjs-core")));

// The specs are ES modules in a package that does not say so: the hooks load them as such, and all of TensorFlow.js with them,
// so that there is one copy of it.
register("./specs-hooks.mjs", import.meta.url);

const jasmineRequire = require("jasmine-core");
const jasmine = jasmineRequire.boot ? jasmineRequire.boot(jasmineRequire) : jasmineRequire;
const env = jasmine.getEnv();
Object.assign(globalThis, jasmineRequire.interface(jasmine, env), { jasmine });

const tf = await import("@tensorflow/tfjs-core");
await import("@tensorflow/tfjs-backend-cpu");
if (backend === "fourfold") (await import("fourfold/tfjs")).registerFourfold();
const { setTestEnvs } = await import(new URL("jasmine_util.js", core));
setTestEnvs([{ name: backend, backendName: backend, isDataSync: true }]);
await import(new URL("register_all_gradients.js", core));
await import(new URL("public/chained_ops/register_all_chained_ops.js", core));
for (const file of files) await import(new URL(`ops/${file}`, core));

const specs = [];
const ran = new Set();
const { runKernelFunc } = tf.engine();
tf.engine().runKernelFunc = function (call) {
  ran.add(tf.getBackend());
  return runKernelFunc.call(this, call);
};
env.clearReporters();
env.addReporter({
  specDone: ({ fullName, status, failedExpectations }) =>
    specs.push({ name: fullName, status, failures: failedExpectations.map(({ message }) => message) }),
});
env.configure({ random: false });
await env.execute();
process.stdout.write(`${JSON.stringify({ backends: [...ran], specs })}\n`);
