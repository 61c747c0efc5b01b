/**
 * Where a spec may read: below its own folder, the current folder and the folders or files allowed by name. The rule holds for
 * the real place of a file, after symbolic links. DuckDB enforces the same rule again; this check comes first because it can
 * say what to do.
 */
import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, parse, relative, resolve, sep } from "node:path";
import { badOption, FourfoldError, nearest, show } from "../errors.ts";

/** The folders and single files that may be read, as real paths. */
export interface Allowed {
  /** The spec's own folder, from which its relative paths start. */
  readonly base: string;
  readonly folders: readonly string[];
  readonly files: readonly string[];
}

/** The places a spec in `base` may read. The root of a file system never counts unless it is allowed by name. */
export function allowedPlaces(base: string, allowPaths: readonly string[]): Allowed {
  const folders = new Set<string>();
  const files = new Set<string>();
  const real = realpathSync(base);
  for (const folder of [real, realpathSync(process.cwd())]) if (parse(folder).root !== folder) folders.add(folder);
  for (const path of allowPaths) {
    if (typeof path !== "string" || !existsSync(path)) throw badOption("allowPaths", path, "folders or files that exist");
    const place = realpathSync(path);
    (statSync(place).isDirectory() ? folders : files).add(place);
  }
  return { base: real, folders: [...folders], files: [...files] };
}

function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/** The real path of `path`, or of its nearest existing parent with the rest appended. */
function realPlace(path: string): string {
  let rest = "";
  for (let at = path; ; at = dirname(at)) {
    try {
      return join(realpathSync(at), rest);
    } catch {
      if (dirname(at) === at) return path;
      rest = join(basename(at), rest);
    }
  }
}

/**
 * The absolute path for a spec's `path`.
 * @throws FourfoldError ERR_FOURFOLD_FORBIDDEN outside the allowed places, ERR_FOURFOLD_SOURCE for a missing file
 */
export function resolvePath(path: string, allowed: Allowed): string {
  if (path.includes("\0")) throw new FourfoldError("ERR_FOURFOLD_FORBIDDEN", "a path with a NUL character", { given: path });
  if (/^[a-z][a-z0-9+.-]+:/i.test(path))
    throw new FourfoldError("ERR_FOURFOLD_FORBIDDEN", `${show(path)} is not a file on this machine, and a spec may not use the network`, {
      given: path,
      fix: "Download it and name the file",
    });
  const absolute = resolve(allowed.base, path);
  const isGlob = /[*?[]/.test(path) && !existsSync(absolute);
  const fixed = isGlob ? absolute.slice(0, absolute.search(/[*?[]/)).replace(/[^/\\]*$/, "") : absolute;
  if (isGlob && /[*?[]/.test(allowed.base) && !isAbsolute(path))
    throw new FourfoldError(
      "ERR_FOURFOLD_SOURCE",
      `the folder ${show(allowed.base)} has *, ? or [ in its name, so patterns cannot be used below it`,
      { given: path, fix: "Rename the folder, or list the files" },
    );
  const place = realPlace(fixed);
  if (!allowed.files.includes(place) && !allowed.folders.some((folder) => isBelow(place, folder)))
    throw new FourfoldError(
      "ERR_FOURFOLD_FORBIDDEN",
      `${show(path)} leads to ${place}, outside the folders that this spec may read (${allowed.folders.join(", ")})`,
      {
        given: path,
        expected: allowed.folders,
        fix: `If you trust the spec, add --allow-path ${isGlob ? place : dirname(place)} (option allowPaths)`,
        at: { file: place },
      },
    );
  if (!isGlob && !existsSync(absolute)) throw missingFile(path, absolute);
  return absolute;
}

/** The same as DuckDB reads it: to it a file whose name has *, ? or [ would be a pattern of others. @throws FourfoldError as {@link resolvePath} */
export function readerPath(path: string, allowed: Allowed): string {
  const absolute = resolvePath(path, allowed);
  return existsSync(absolute) ? literally(absolute) : absolute;
}

/** A pattern that matches one path: itself. */
export function literally(path: string): string {
  return path.replaceAll(/[*?[]/g, "[$&]");
}

function missingFile(path: string, absolute: string): FourfoldError {
  let names: string[] = [];
  try {
    names = readdirSync(dirname(absolute)).slice(0, 1000);
  } catch {
    // The folder is missing, too: there is nothing to suggest.
  }
  const meant = nearest(basename(absolute), names);
  return new FourfoldError("ERR_FOURFOLD_SOURCE", `there is no file ${absolute}`, {
    given: path,
    at: { file: absolute },
    fix: meant === undefined ? "Paths are relative to the spec's folder" : `Did you mean ${show(join(dirname(path), meant))}?`,
  });
}
