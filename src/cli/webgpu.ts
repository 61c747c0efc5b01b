/**
 * Sets up the backend "webgpu": two npm packages whose binaries come with them, and a look at what they need from the system, which
 * no package can bring: a Vulkan loader and a driver. What is missing is named; the proof is a chain computed in a process of its own.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { throwIfAborted } from "../errors.ts";
import { runProgram } from "./children.ts";
import { failed, install, installArguments, packageFolder, projectFolder, type Wanted } from "./packages.ts";
import { tryInChild } from "./trial.ts";

const PACKAGES: readonly Wanted[] = [
  { name: "@tensorflow/tfjs-core", version: "4.22.0" },
  { name: "@tensorflow/tfjs-backend-webgpu", version: "4.22.0" },
  { name: "webgpu", version: "0.6.2" },
];

/** Where Vulkan's loader looks for drivers. */
const DRIVER_FOLDERS = ["/etc/vulkan/icd.d", "/usr/local/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/usr/share/vulkan/icd.d"];

/** How to set up. */
export interface WebgpuSetup {
  readonly signal: AbortSignal;
  /** Says what was done: the step and what came of it. */
  readonly tell: (step: string, what: string) => void;
  /** True to let npm show its own progress. */
  readonly shown: boolean;
}

/** What setting up would do, in words. Changes and fetches nothing. */
export function planWebgpu(): string {
  const missing = PACKAGES.filter((wanted) => packageFolder(wanted) === undefined);
  const lines: [string, string][] = [
    ["packages", missing.length > 0 ? `npm ${installArguments(PACKAGES).join(" ")}, in ${projectFolder()}; 51 MB` : "are there"],
    ["adapter", "Dawn is asked for one; where there is none, what is missing for it is named"],
    ["proof", "a chain of four levels is computed in a process of its own"],
  ];
  return lines.map(([step, what]) => `${step.padEnd(14)}${what}\n`).join("");
}

/** Sets up the backend "webgpu". @throws FourfoldError ERR_FOURFOLD_SETUP with what is missing */
export async function setUpWebgpu({ signal, tell, shown }: WebgpuSetup): Promise<void> {
  if (PACKAGES.some((wanted) => packageFolder(wanted) === undefined)) {
    tell("fetching", `${PACKAGES.map(({ name }) => name).join(", ")}, 51 MB, with npm`);
    await install(PACKAGES, { signal, shown });
  }
  tell("packages", PACKAGES.map(({ name, version }) => `${name} ${version}`).join(", "));
  const { present, version, note } = await tryInChild("webgpu", signal);
  throwIfAborted(signal);
  if (present) return tell("proof", `TensorFlow.js ${version}: a chain of four levels was within its error bound`);
  const reasons = await missingForAdapter(signal);
  throw failed(note.replace(/\. Run: npx fourfold setup webgpu$/, ""), reasons.length > 0 ? `What is missing: ${reasons.join("; ")}` : "");
}

/** What this system lacks for a GPU adapter, as far as can be seen from outside; each with the way to get it. Linux only. */
export async function missingForAdapter(signal?: AbortSignal): Promise<string[]> {
  if (process.platform !== "linux") return [];
  const reasons: string[] = [];
  if (!(await hasLoader(signal))) reasons.push("the Vulkan loader, libvulkan.so.1 (for example: apt-get install libvulkan1)");
  const named = process.env["VK_DRIVER_FILES"] ?? process.env["VK_ICD_FILENAMES"];
  const drivers = named === undefined ? DRIVER_FOLDERS.flatMap(driversIn) : named.split(":").filter((file) => existsSync(file));
  const nvidia = existsSync("/dev/nvidiactl");
  if (nvidia && !drivers.some((file) => /nvidia/i.test(file)))
    reasons.push(
      "the graphics part of the NVIDIA driver, nvidia_icd.json (in a container, start it with NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics)",
    );
  else if (drivers.length === 0)
    reasons.push(
      named === undefined
        ? "a Vulkan driver: no description in /usr/share/vulkan/icd.d (for example: apt-get install mesa-vulkan-drivers, or the maker's driver)"
        : `a Vulkan driver: VK_DRIVER_FILES names no file that is there (${named})`,
    );
  if (!nvidia && !existsSync("/dev/dri"))
    reasons.push("a GPU that this system shows to programs: neither /dev/dri nor /dev/nvidiactl is there");
  return reasons;
}

async function hasLoader(signal: AbortSignal | undefined): Promise<boolean> {
  const folders = (process.env["LD_LIBRARY_PATH"] ?? "").split(":").filter((folder) => folder !== "");
  if (folders.some((folder) => existsSync(join(folder, "libvulkan.so.1")))) return true;
  for (const program of ["ldconfig", "/sbin/ldconfig"])
    if ((await runProgram(program, ["-p"], { signal })).stdout.includes("libvulkan.so.1")) return true;
  return false;
}

function driversIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
}
