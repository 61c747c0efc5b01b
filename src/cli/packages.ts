/** Optional packages, put where the project that uses this one finds them, without a change to its package.json or lock file. */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FourfoldError } from "../errors.ts";
import { type Ended, runProgram } from "./children.ts";

/** A package with the only version that is known to work. */
export interface Wanted {
  readonly name: string;
  readonly version: string;
}

/** How to install. */
export interface InstallOptions {
  readonly signal: AbortSignal;
  /** True to let npm show its own progress. */
  readonly shown: boolean;
}

/** The error of a set-up. @param given "binding" if no other source can help */
export function failed(message: string, fix: string, given?: unknown): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_SETUP", message, { ...(fix !== "" && { fix }), given });
}

/** Throws what a program said if it did not end well. @throws FourfoldError ERR_FOURFOLD_SETUP */
export function succeeded({ code, stdout, stderr }: Ended, command: string, given?: unknown): void {
  if (code === 0) return;
  const said = (stderr.trim() || stdout.trim()).split("\n").slice(-3).join(" ").trim();
  throw failed(`${command.split(" ").slice(0, 4).join(" ")}: ${said === "" ? `ended with ${code}` : said}`, "", given);
}

/** The folder whose node_modules holds this package, or this package itself in its own checkout. */
export function projectFolder(): string {
  const own = fileURLToPath(new URL("../..", import.meta.url));
  const at = own.lastIndexOf(join("/", "node_modules", "/"));
  return at < 0 ? own : own.slice(0, at);
}

/** The folder of a package as the backends find it; undefined if it is not there. @throws FourfoldError ERR_FOURFOLD_SETUP for another version */
export function packageFolder({ name, version }: Wanted): string | undefined {
  const found = installed(name);
  if (found !== undefined && found.version !== version)
    throw failed(
      `${name} is version ${found.version}, the backend is made for ${version}`,
      `Run: npm install --ignore-scripts ${name}@${version}`,
    );
  return found?.folder;
}

/** What npm is told. It takes away what no package.json asks for, so the optional packages that are there are named again. */
export function installArguments(wanted: readonly Wanted[]): string[] {
  const own = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    peerDependencies: Record<string, string>;
  };
  const names = new Map(wanted.map(({ name, version }) => [name, version]));
  for (const name of Object.keys(own.peerDependencies)) {
    const version = names.has(name) ? undefined : installed(name)?.version;
    if (version !== undefined) names.set(name, version);
  }
  // --save-prod: without it npm leaves out what the project itself lists as an optional peer.
  return [
    ...["install", "--no-save", "--save-prod", "--ignore-scripts", "--no-audit", "--no-fund"],
    ...Array.from(names, ([name, version]) => `${name}@${version}`),
  ];
}

/** Installs packages and gives their folders. @throws FourfoldError ERR_FOURFOLD_SETUP with the command to run by hand */
export async function install(wanted: readonly Wanted[], { signal, shown }: InstallOptions): Promise<string[]> {
  const project = projectFolder();
  const specs = wanted.map(({ name, version }) => `${name}@${version}`).join(" ");
  for (const [lock, command] of [
    ["pnpm-lock.yaml", "pnpm add --ignore-scripts"],
    ["yarn.lock", "yarn add --ignore-scripts"],
  ] as const)
    if (existsSync(join(project, lock)))
      throw failed(
        `${wanted.map(({ name }) => name).join(" and ")} ${wanted.length > 1 ? "are" : "is"} not installed`,
        `Run: ${command} ${specs}, then this command again`,
      );
  const args = installArguments(wanted);
  succeeded(await runProgram("npm", args, { cwd: project, signal, shown }), `npm ${args.join(" ")}`);
  return wanted.map((one) => {
    const folder = packageFolder(one);
    if (folder === undefined)
      throw failed(
        `npm installed ${one.name} where fourfold does not find it`,
        `Run: npm install --ignore-scripts ${specs} in the project that uses fourfold`,
      );
    return folder;
  });
}

/** Where a package lies, and its version; undefined if it is not there. */
export function installed(name: string): { readonly folder: string; readonly version: string } | undefined {
  let file: string;
  try {
    file = createRequire(import.meta.url).resolve(`${name}/package.json`);
  } catch {
    return undefined;
  }
  const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
  return { folder: dirname(file), version };
}
