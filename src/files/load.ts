/** From a path to a roll-up that the engine can run: reads the spec now, its data when `read` is called. */
import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { badOption, FourfoldError } from "../errors.ts";
import type { GroupedTable } from "../reduce/grouped.ts";
import { allowedPlaces } from "./folders.ts";
import { describeSpec, type Job, parseSpec, type ReadOptions, SPEC_BYTES_MAX, type SpecContent } from "./spec.ts";
import { readTable } from "./table.ts";

/** What a spec may reach and use. */
export interface LoadOptions {
  /** Folders and files a spec may read beside its own folder and the current folder. */
  readonly allowPaths?: readonly string[];
  /** The most memory DuckDB may take, and the most that the values may; without it DuckDB's own rule holds (80 % of the machine). */
  readonly memoryBytesMax?: number;
  /** Threads DuckDB may use; all cores without it. */
  readonly threads?: number;
}

/** A spec that was read from a file. */
export interface Spec extends Job {
  /** The absolute path of the spec. */
  readonly path: string;
  readonly source: SpecContent["source"];
  readonly value: string;
  readonly nullKeys: SpecContent["nullKeys"];
}

function checkedOptions(options: LoadOptions): void {
  for (const key of ["memoryBytesMax", "threads"] as const) {
    const given = options[key];
    if (given !== undefined && !(Number.isSafeInteger(given) && given > 0)) throw badOption(key, given, "a whole number above 0");
  }
  if (options.allowPaths !== undefined && !Array.isArray(options.allowPaths))
    throw badOption("allowPaths", options.allowPaths, "a list of paths");
}

/**
 * Reads and checks a spec; the data stay where they are until the spec runs.
 *
 * @example
 * const r = await engine.run(await loadSpec("examples/flights.json"));
 */
export async function loadSpec(path: string, options: LoadOptions = {}): Promise<Spec> {
  checkedOptions(options);
  const absolute = resolve(path);
  const text = await readText(absolute, path);
  const content = parseSpec(text, path);
  return {
    kind: "fourfold.job",
    path: absolute,
    source: content.source,
    value: content.value,
    levels: content.levels,
    nan: content.nan,
    nullKeys: content.nullKeys,
    describe: describeSpec(content),
    read: async (readOptions: ReadOptions = {}): Promise<GroupedTable> =>
      readTable(
        content,
        allowedPlaces(dirname(absolute), options.allowPaths ?? []),
        { ...pick(options, "memoryBytesMax"), ...pick(options, "threads") },
        readOptions,
      ),
  };
}

function pick<K extends keyof LoadOptions>(options: LoadOptions, key: K): Pick<LoadOptions, K> | object {
  return options[key] === undefined ? {} : { [key]: options[key] };
}

async function readText(absolute: string, path: string): Promise<string> {
  try {
    const { size } = await stat(absolute);
    if (size > SPEC_BYTES_MAX)
      throw new FourfoldError("ERR_FOURFOLD_SPEC", `${path} has ${size} bytes, at most ${SPEC_BYTES_MAX} are a spec`, {
        given: size,
        expected: SPEC_BYTES_MAX,
        at: { file: path },
      });
    return await readFile(absolute, "utf8");
  } catch (cause) {
    if (cause instanceof FourfoldError) throw cause;
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new FourfoldError("ERR_FOURFOLD_SOURCE", missing ? `there is no spec ${absolute}` : `the spec ${absolute} cannot be read`, {
      cause,
      given: path,
      at: { file: absolute },
      ...(missing ? { fix: "Check the path" } : {}),
    });
  }
}
