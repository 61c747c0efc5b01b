/**
 * The codecs of a Zarr array: which are known, in which order they may stand, and under which names zarrita is given them. zarrita sorts
 * codecs by kind, passes over a configuration that it does not need and checks no checksum, so an order or a setting that would be read
 * wrongly is refused here.
 */
import { show } from "../errors.ts";
import { BYTES_OF, type FileDtype } from "./items.ts";
import { badMetadata, chunkShape, type Fields, fieldOf, fieldsOf } from "./zarr-fields.ts";

/** A codec as zarrita is given it. */
export interface CodecDocument {
  readonly name: string;
  readonly configuration: Fields;
}

/** What makes bytes of bytes; zarr-codecs.ts has a bounded one for each but `shuffle`, which makes as many as it is given. */
export const BYTE_CODECS = ["gzip", "zlib", "zstd", "blosc", "lz4", "crc32c", "shuffle"] as const;
/** The names of our own in zarrita's registry. */
export const BOUNDED = "fourfold.";

interface Given {
  readonly name: string;
  readonly configuration: Fields;
}

const LITTLE_ENDIAN: Given = { name: "bytes", configuration: { endian: "little" } };

/** The codecs of version 3, and the chunks that they decode to: inner ones where `outer` are shards. */
export function codecsOf(
  value: unknown,
  type: FileDtype,
  outer: readonly number[],
  file: string,
): { codecs: CodecDocument[]; chunks: readonly number[] } {
  // zarrita itself writes none where items are little endian and not packed.
  const given = Array.isArray(value) && value.length === 0 ? [LITTLE_ENDIAN] : list(value, "codecs", file);
  if (given.some(({ name }) => name === "sharding_indexed")) {
    const [sharding] = given;
    if (given.length !== 1 || sharding === undefined)
      throw badMetadata(file, "codecs before or behind sharding_indexed are not known here");
    return sharded(sharding.configuration, type, outer, file);
  }
  return { codecs: pipeline(given, type, outer.length, file), chunks: outer };
}

function sharded(
  configuration: Fields,
  type: FileDtype,
  outer: readonly number[],
  file: string,
): { codecs: CodecDocument[]; chunks: readonly number[] } {
  const chunks = chunkShape(fieldOf(configuration, "chunk_shape"), outer, "the chunk_shape of sharding_indexed", file);
  if (outer.some((extent, axis) => extent % chunks[axis]! !== 0))
    throw badMetadata(file, `inner chunks of ${show(chunks)} do not divide shards of ${show([...outer])}`, {
      given: chunks,
      expected: outer,
    });
  const location = fieldOf(configuration, "index_location") ?? "end";
  if (location !== "end")
    throw badMetadata(file, `index_location ${show(location)} is not known here`, { given: location, expected: "end" });
  const codecs = list(fieldOf(configuration, "codecs"), "the codecs of sharding_indexed", file);
  const index = list(fieldOf(configuration, "index_codecs"), "the index_codecs of sharding_indexed", file);
  if (index.some(({ name }) => name !== "bytes" && name !== "crc32c"))
    throw badMetadata(file, "index_codecs other than bytes and crc32c are not known here", { given: index.map(({ name }) => name) });
  const inner = {
    chunk_shape: chunks,
    codecs: pipeline(codecs, type, outer.length, file),
    index_codecs: pipeline(index, "u64", outer.length + 1, file),
    index_location: location,
  };
  return { codecs: [{ name: "sharding_indexed", configuration: inner }], chunks };
}

/** The filters, the order and the compressor of version 2. */
export function codecsOfV2(fields: Fields, type: FileDtype, dtype: string, order: "C" | "F", file: string): CodecDocument[] {
  const filters = fieldOf(fields, "filters") ?? [];
  const compressor = fieldOf(fields, "compressor") ?? undefined;
  if (!Array.isArray(filters)) throw badMetadata(file, `filters is ${show(filters)}`, { given: filters, expected: "a list or null" });
  const given: Given[] = [...filters, ...(compressor === undefined ? [] : [compressor])].map((value, i) => {
    const { id, ...configuration } = fieldsOf(value, i < filters.length ? "a filter" : "the compressor", file);
    if (typeof id !== "string") throw badMetadata(file, `a codec has the id ${show(id)}`, { given: id });
    return { name: id, configuration };
  });
  const delta = given.findIndex(({ name }) => name === "delta");
  if (delta > 0) throw badMetadata(file, "a delta filter behind another is not known here");
  for (const key of ["dtype", "astype"]) {
    const named = delta === 0 ? fieldOf(given[0]!.configuration, key) : undefined;
    if (named !== undefined && named !== null && named !== dtype)
      throw badMetadata(file, `a delta filter of ${show(named)} in an array of ${show(dtype)} is not known here`, {
        given: named,
        expected: dtype,
      });
  }
  const rank = (fieldOf(fields, "shape") as unknown[]).length;
  const bytes: Given = { name: "bytes", configuration: { endian: dtype.startsWith(">") ? "big" : "little" } };
  const transpose: Given[] = order === "F" && rank > 1 ? [{ name: "transpose", configuration: { order: "F" } }] : [];
  return pipeline([...transpose, ...given.slice(0, delta + 1), bytes, ...given.slice(delta + 1)], type, rank, file);
}

function list(value: unknown, what: string, file: string): Given[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > 16)
    throw badMetadata(file, `${what} is ${show(value)}`, { given: value, expected: "a list of 1 to 16 codecs" });
  return value.map((codec: unknown) => {
    if (typeof codec === "string") return { name: codec.replace(/^numcodecs\./, ""), configuration: {} };
    const fields = fieldsOf(codec, "a codec", file);
    const name = fieldOf(fields, "name");
    if (typeof name !== "string") throw badMetadata(file, `a codec has the name ${show(name)}`, { given: name });
    const configuration = fieldsOf(fieldOf(fields, "configuration") ?? {}, `the configuration of ${show(name)}`, file);
    return { name: name.replace(/^numcodecs\./, ""), configuration };
  });
}

/** Arrays of arrays, then one bytes of arrays, then bytes of bytes. */
function pipeline(given: readonly Given[], type: FileDtype, rank: number, file: string): CodecDocument[] {
  const at = given.findIndex(({ name }) => name === "bytes");
  if (at < 0) throw badMetadata(file, "codecs has no codec bytes", { given: given.map(({ name }) => name) });
  if (at > 1) throw badMetadata(file, "more than one codec before bytes is not known here", { given: given.map(({ name }) => name) });
  return given.map((codec, i) =>
    i < at ? ofArray(codec, type, rank, file) : i === at ? ofBytes(codec, type, file) : ofPacked(codec, type, file),
  );
}

function ofArray({ name, configuration }: Given, type: FileDtype, rank: number, file: string): CodecDocument {
  if (name === "transpose") {
    const order = fieldOf(configuration, "order");
    const axes = Array.isArray(order) && order.length === rank && Array.from({ length: rank }, (_, i) => i).every((i) => order.includes(i));
    if (order !== "C" && order !== "F" && !axes)
      throw badMetadata(file, `transpose has the order ${show(order)}`, { given: order, expected: `each of ${rank} axes once` });
    return { name, configuration: { order } };
  }
  // Sums of halves are not those of their bits.
  if (name === "delta" && type !== "f16" && type !== "bool") return { name: "numcodecs.delta", configuration: {} };
  throw unknown(name, file);
}

function ofBytes({ name, configuration }: Given, type: FileDtype, file: string): CodecDocument {
  const endian = fieldOf(configuration, "endian") ?? (BYTES_OF[type] === 1 ? "little" : undefined);
  if (endian !== "little" && endian !== "big")
    throw badMetadata(file, `bytes has the endian ${show(endian)}`, { given: endian, expected: '"little" or "big"' });
  return { name, configuration: { endian } };
}

function ofPacked({ name, configuration }: Given, type: FileDtype, file: string): CodecDocument {
  if (!(BYTE_CODECS as readonly string[]).includes(name)) throw unknown(name, file);
  if (name !== "shuffle") return { name: `${BOUNDED}${name}`, configuration: {} };
  // numcodecs takes 4 where none is given; zarrita takes the type's own.
  const size = fieldOf(configuration, "elementsize") ?? 4;
  if (size !== BYTES_OF[type])
    throw badMetadata(file, `a shuffle filter of ${show(size)} bytes for items of ${BYTES_OF[type]} is not known here`, { given: size });
  return { name: "numcodecs.shuffle", configuration: { elementsize: size } };
}

function unknown(name: string, file: string): Error {
  return badMetadata(file, `the codec ${show(name)} is not known here, or not at this place`, {
    given: name,
    expected: ["transpose", "delta", "bytes", "sharding_indexed", ...BYTE_CODECS],
    fix: "Write the array with another codec",
  });
}
