/** The process of {@link tryInChild}: `probe.js BACKEND` tries a tensor backend and prints the finding as JSON. */
import type { BackendName } from "../index.ts";
import { tryTensors } from "./trial.ts";

process.stdout.write(JSON.stringify(await tryTensors(process.argv[2] as BackendName)));
