/** Which packages are installed, found by their files: nothing is imported, since the large ones take half a second to load. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { partsOf, type TensorBackendName } from "./tensor-backends.ts";

/** The versions of a tensor backend's packages, as `name@version`; undefined where one of them, or a file that it needs, is missing. */
export function installedVersions(name: TensorBackendName): string | undefined {
  const { packages, file } = partsOf(name);
  const folders = packages.map(folderOf);
  if (folders.includes(undefined)) return undefined;
  const versions = folders.map((folder, i) => `${packages[i]}@${versionIn(folder!)}`);
  if (file === undefined) return versions.join(" ");
  const needed = join(folders[0]!, file);
  // Another library set up in the same place is another device.
  return existsSync(needed) ? `${versions.join(" ")} ${statSync(needed).mtime.toISOString()}` : undefined;
}

function folderOf(name: string): string | undefined {
  const roots = createRequire(import.meta.url).resolve.paths(name) ?? [];
  return roots.map((root) => join(root, name)).find((folder) => existsSync(join(folder, "package.json")));
}

function versionIn(folder: string): string {
  return (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string }).version;
}
