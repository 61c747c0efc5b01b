/**
 * Zarr arrays, versions 2 and 3, in a folder of this machine. zarrita (an optional package) knows the keys of chunks and the codecs; what
 * it is given has been checked (zarr-metadata.ts), bounded (zarr-codecs.ts) and kept inside the folder (zarr-store.ts). Chunks are decoded
 * when a range of leaves needs them.
 */
import { checkNames, FourfoldError, nearest, show, throwIfAborted } from "../errors.ts";
import type { TensorSource } from "../types.ts";
import { Holds } from "./holds.ts";
import { type Int64Policy, int64Policy } from "./items.ts";
import { checkTarget, memoryLimit } from "./reading.ts";
import { ChunkReader } from "./zarr-chunks.ts";
import type { Zarrita } from "./zarr-codecs.ts";
import { fieldOf, fieldsOf } from "./zarr-fields.ts";
import { readZarrMetadata, type ZarrMetadata } from "./zarr-metadata.ts";
import { memberPath, ZarrFolder } from "./zarr-store.ts";

/** Decoded chunks that are kept, unless told otherwise: a row of chunks of a usual array. */
const MEMORY_BYTES = 1 << 28;
/** Members of a group that are looked at for a message. */
const MEMBERS_MAX = 1000;

/** How a Zarr array is opened. */
export interface ZarrOptions {
  /** The path of the array in its group, with "/" between names. May be left out for an array, and for a group with only one. */
  readonly array?: string | undefined;
  /** What is done with 64-bit integers. Default `"exact"`. */
  readonly int64?: Int64Policy | undefined;
  /**
   * Bytes of decoded chunks that are kept, so that reading on does not decode a chunk again: at best a row of chunks along the first axis.
   * A single chunk must fit. Default 2^28.
   */
  readonly memoryBytesMax?: number | undefined;
}

const OPTIONS = ["array", "int64", "memoryBytesMax"] as const;

/**
 * Opens an array of a Zarr folder. `read` decodes the chunks that a range needs; chunks that are not there have the fill value.
 *
 * @throws FourfoldError ERR_FOURFOLD_SOURCE (no such folder, or zarrita is not installed), ERR_FOURFOLD_ARGUMENT (no such array, or several
 * and none named), ERR_FOURFOLD_FORMAT (damaged, or a codec that is not known), ERR_FOURFOLD_DTYPE, ERR_FOURFOLD_MEMORY (a chunk beyond
 * `memoryBytesMax`), ERR_FOURFOLD_FORBIDDEN (a link that leaves the folder)
 * @example
 * const t = await openZarr("era5.zarr", { array: "t2m" });
 */
export async function openZarr(path: string, options: ZarrOptions = {}): Promise<TensorSource> {
  checkNames("openZarr", options, OPTIONS);
  const int64 = int64Policy(options.int64);
  const memoryBytesMax = memoryLimit(options.memoryBytesMax, MEMORY_BYTES);
  const prefix = memberPath(options.array);
  const folder = await ZarrFolder.open(path);
  const found = (await findArray(folder, prefix, int64)) ?? (await onlyMember(folder, prefix, int64, options.array));
  const zarrita = await loadZarrita();
  const name = found.prefix === "" ? path : `${path}:${found.prefix.slice(0, -1)}`;
  return sourceOf(name, new ChunkReader(zarrita, folder, found.prefix, found.metadata, { name, int64, memoryBytesMax }));
}

async function loadZarrita(): Promise<Zarrita> {
  try {
    return await import("zarrita");
  } catch (cause) {
    throw new FourfoldError("ERR_FOURFOLD_SOURCE", "reading Zarr needs the package zarrita, which cannot be loaded", {
      fix: "Install it: npm install zarrita@0.7.5",
      cause,
    });
  }
}

interface Found {
  readonly prefix: string;
  readonly metadata: ZarrMetadata;
}

/** The array at `prefix`; undefined where a group is, or nothing. */
async function findArray(folder: ZarrFolder, prefix: string, int64: Int64Policy): Promise<Found | undefined> {
  const v3 = await folder.document(`${prefix}zarr.json`);
  const file = (name: string): string => `${folder.path}/${prefix}${name}`;
  if (v3 !== undefined) {
    const type = fieldOf(fieldsOf(v3, "the document", file("zarr.json")), "node_type");
    return type === "group" ? undefined : { prefix, metadata: readZarrMetadata(v3, 3, file("zarr.json"), int64) };
  }
  const v2 = await folder.document(`${prefix}.zarray`);
  return v2 === undefined ? undefined : { prefix, metadata: readZarrMetadata(v2, 2, file(".zarray"), int64) };
}

/** The one array of a group, where none is named. */
async function onlyMember(folder: ZarrFolder, prefix: string, int64: Int64Policy, array: string | undefined): Promise<Found> {
  const names: string[] = [];
  for (const name of (await folder.folders()).slice(0, MEMBERS_MAX))
    for (const file of ["zarr.json", ".zarray"])
      if (!names.includes(name) && (await folder.place(`${name}/${file}`)) !== undefined && (await isArray(folder, `${name}/${file}`)))
        names.push(name);
  const list = `it has ${names.slice(0, 8).join(", ")}${names.length > 8 ? ", …" : ""}`;
  const detail = { given: array, expected: names.slice(0, 64), at: { file: folder.path } };
  if (names.length === 0)
    throw new FourfoldError(
      "ERR_FOURFOLD_FORMAT",
      `${folder.path}${array === undefined ? "" : `:${array}`} is no Zarr array, nor a group of any`,
      {
        ...detail,
        expected: "a folder with .zarray or zarr.json",
      },
    );
  if (array !== undefined) {
    const meant = nearest(array, names);
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${folder.path}: there is no array ${show(array)}`, {
      ...detail,
      fix: meant === undefined ? list.replace("it", "It") : `Did you mean "${meant}"?`,
    });
  }
  const found = names.length === 1 ? await findArray(folder, `${prefix}${names[0]}/`, int64) : undefined;
  if (found !== undefined) return found;
  throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${folder.path}: ${names.length} arrays, and none is named`, {
    ...detail,
    fix: `Name one with the option array; ${list}`,
  });
}

async function isArray(folder: ZarrFolder, key: string): Promise<boolean> {
  if (key.endsWith(".zarray")) return true;
  return fieldOf(fieldsOf(await folder.document(key), "the document", `${folder.path}/${key}`), "node_type") === "array";
}

/** A source of what `chunks` reads. Reads wait for one another, since they share the chunks that are kept. */
function sourceOf(name: string, chunks: ChunkReader): TensorSource {
  let last: Promise<void> = Promise.resolve();
  const holds = new Holds(name, async () => chunks.forget());
  const source: TensorSource = {
    kind: "fourfold.tensor",
    name,
    dtype: chunks.dtype,
    length: chunks.length,
    shape: chunks.shape,
    offsets: undefined,
    segments: undefined,
    read: async (target, first, { signal } = {}) => {
      checkTarget(source, target, first);
      await holds.during(() => {
        const work = last.then(() => {
          throwIfAborted(signal);
          return chunks.read(target, first, signal);
        });
        last = work.catch(() => {});
        return work;
      });
    },
    hold: () => holds.hold(),
    close: () => holds.close(),
  };
  return source;
}
