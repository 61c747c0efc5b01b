/**
 * The metadata of a Zarr array, version 2 (`.zarray`) or 3 (`zarr.json`), as one checked document of version 3 that zarrita is given. It is
 * untrusted, and zarrita is lenient: what is not known exactly is refused here, with the file's name, before a chunk is read. Sources:
 * Zarr storage specification 2, Zarr core specification 3.1.
 */
import { half } from "../arrow/numbers.ts";
import { FourfoldError, show } from "../errors.ts";
import { BYTES_OF, type FileDtype, type Int64Policy } from "./items.ts";
import { badMetadata, chunkShape, extents, type Fields, fieldOf, fieldsOf } from "./zarr-fields.ts";
import { type CodecDocument, codecsOf, codecsOfV2 } from "./zarr-pipeline.ts";

/** What the metadata of an array say. */
export interface ZarrMetadata {
  /** The file, for messages. */
  readonly file: string;
  readonly shape: readonly number[];
  /** Items of a chunk on each axis; of an inner chunk where chunks are sharded. */
  readonly chunks: readonly number[];
  readonly type: FileDtype;
  /** Whether a chunk that is not there may be filled: version 2 may leave the value out. */
  readonly hasFill: boolean;
  /** The same array as zarrita is given it: bool as uint8, float16 as uint16, codecs that are bounded. */
  readonly document: Fields;
}

/** Zarr's names: those of version 3, and their letters and bytes in version 2. */
const TYPES: Readonly<Record<string, { readonly type: FileDtype; readonly v2: string; readonly stored: string }>> = {
  float64: { type: "f64", v2: "f8", stored: "float64" },
  float32: { type: "f32", v2: "f4", stored: "float32" },
  // Not every Node has Float16Array, so zarrita is told of plain words and the values are made here.
  float16: { type: "f16", v2: "f2", stored: "uint16" },
  int64: { type: "i64", v2: "i8", stored: "int64" },
  uint64: { type: "u64", v2: "u8", stored: "uint64" },
  int32: { type: "i32", v2: "i4", stored: "int32" },
  uint32: { type: "u32", v2: "u4", stored: "uint32" },
  int16: { type: "i16", v2: "i2", stored: "int16" },
  uint16: { type: "u16", v2: "u2", stored: "uint16" },
  int8: { type: "i8", v2: "i1", stored: "int8" },
  uint8: { type: "u8", v2: "u1", stored: "uint8" },
  bool: { type: "bool", v2: "b1", stored: "uint8" },
};

/** Reads the metadata of an array. @throws FourfoldError ERR_FOURFOLD_FORMAT, ERR_FOURFOLD_DTYPE */
export function readZarrMetadata(document: unknown, version: 2 | 3, file: string, int64: Int64Policy): ZarrMetadata {
  const fields = fieldsOf(document, "the document", file);
  if (fieldOf(fields, "zarr_format") !== version)
    throw badMetadata(file, `zarr_format is ${show(fieldOf(fields, "zarr_format"))}`, {
      given: fieldOf(fields, "zarr_format"),
      expected: version,
    });
  return version === 2 ? ofV2(fields, file, int64) : ofV3(fields, file, int64);
}

const KNOWN_V3 = [
  "zarr_format",
  "node_type",
  "shape",
  "data_type",
  "chunk_grid",
  "chunk_key_encoding",
  "fill_value",
  "codecs",
  "attributes",
  "storage_transformers",
  "dimension_names",
  "consolidated_metadata",
];

function ofV3(fields: Fields, file: string, int64: Int64Policy): ZarrMetadata {
  for (const [name, value] of Object.entries(fields))
    if (!KNOWN_V3.includes(name) && !(typeof value === "object" && value !== null && (value as Fields)["must_understand"] === false))
      throw badMetadata(file, `there is an extension ${show(name)}, which is not known here`, { given: name });
  const transformers = fieldOf(fields, "storage_transformers");
  if (transformers !== undefined && !(Array.isArray(transformers) && transformers.length === 0))
    throw badMetadata(file, "storage transformers are not known here", { given: transformers });
  const name = fieldOf(fields, "data_type");
  const known = typeof name === "string" && Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  if (known === undefined) throw refusedType(name, file);
  checkInt64(known.type, int64, name, file);
  const shape = extents(fieldOf(fields, "shape"), 0, "shape", file);
  const grid = fieldsOf(fieldOf(fields, "chunk_grid"), "chunk_grid", file);
  if (fieldOf(grid, "name") !== "regular")
    throw badMetadata(file, `the chunk grid ${show(fieldOf(grid, "name"))} is not known here`, {
      given: fieldOf(grid, "name"),
      expected: "regular",
    });
  const grids = fieldsOf(fieldOf(grid, "configuration"), "the configuration of chunk_grid", file);
  const outer = chunkShape(fieldOf(grids, "chunk_shape"), shape, "chunk_shape", file);
  const encoding = fieldsOf(fieldOf(fields, "chunk_key_encoding"), "chunk_key_encoding", file);
  const { codecs, chunks } = codecsOf(fieldOf(fields, "codecs"), known.type, outer, file);
  const fill = fillOf(fieldOf(fields, "fill_value"), known.type, file);
  if (fill === undefined) throw badMetadata(file, "fill_value is missing");
  return metadata(file, shape, chunks, known, fill, outer, keyEncoding(encoding, file), codecs);
}

function ofV2(fields: Fields, file: string, int64: Int64Policy): ZarrMetadata {
  const dtype = fieldOf(fields, "dtype");
  const known =
    typeof dtype === "string" && /^[<>|]/.test(dtype) ? Object.values(TYPES).find(({ v2 }) => v2 === dtype.slice(1)) : undefined;
  if (known === undefined) throw refusedType(dtype, file);
  checkInt64(known.type, int64, dtype, file);
  const shape = extents(fieldOf(fields, "shape"), 0, "shape", file);
  const chunks = chunkShape(fieldOf(fields, "chunks"), shape, "chunks", file);
  const order = fieldOf(fields, "order");
  if (order !== "C" && order !== "F") throw badMetadata(file, `order is ${show(order)}`, { given: order, expected: '"C" or "F"' });
  const separator = fieldOf(fields, "dimension_separator") ?? ".";
  const codecs = codecsOfV2(fields, known.type, String(dtype), order, file);
  const encoding = keyEncoding({ name: "v2", configuration: { separator } }, file);
  return metadata(file, shape, chunks, known, fillOf(fieldOf(fields, "fill_value"), known.type, file), chunks, encoding, codecs);
}

function metadata(
  file: string,
  shape: readonly number[],
  chunks: readonly number[],
  { type, stored }: { readonly type: FileDtype; readonly stored: string },
  fill: number | bigint | undefined,
  outer: readonly number[],
  encoding: Fields,
  codecs: readonly CodecDocument[],
): ZarrMetadata {
  const document = {
    zarr_format: 3,
    node_type: "array",
    shape,
    data_type: stored,
    chunk_grid: { name: "regular", configuration: { chunk_shape: outer } },
    chunk_key_encoding: encoding,
    codecs,
    fill_value: fill ?? (stored.endsWith("int64") ? 0n : 0),
    attributes: {},
  };
  return { file, shape, chunks, type, hasFill: fill !== undefined, document };
}

function keyEncoding(encoding: Fields, file: string): Fields {
  const name = fieldOf(encoding, "name");
  const configuration = fieldsOf(fieldOf(encoding, "configuration") ?? {}, "the configuration of chunk_key_encoding", file);
  const separator = fieldOf(configuration, "separator") ?? (name === "v2" ? "." : "/");
  if ((name !== "default" && name !== "v2") || (separator !== "." && separator !== "/"))
    throw badMetadata(file, `chunk keys ${show(name)} with ${show(separator)} are not known here`, {
      given: encoding,
      expected: '"default" or "v2", with "." or "/"',
    });
  return { name, configuration: { separator } };
}

function refusedType(given: unknown, file: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_DTYPE", `${file}: items of type ${show(given)} are not reduced here`, {
    given,
    expected: Object.keys(TYPES),
    at: { file },
    fix: "Convert the array to float64",
  });
}

function checkInt64(type: FileDtype, int64: Int64Policy, given: unknown, file: string): void {
  if (int64 === "reject" && (type === "i64" || type === "u64"))
    throw new FourfoldError("ERR_FOURFOLD_DTYPE", `${file}: items of type ${show(given)} are refused, as int64: "reject" asks`, {
      given,
      at: { file },
      fix: "Convert the array to float64",
    });
}

const SPECIAL: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

/** The fill value as zarrita is given it; undefined where there is none. */
function fillOf(value: unknown, type: FileDtype, file: string): number | bigint | undefined {
  const refuse = (): FourfoldError =>
    badMetadata(file, `fill_value ${show(value)} does not fit the type`, { given: value, expected: type });
  if (value === undefined || value === null) return undefined;
  if (type === "bool") {
    if (typeof value !== "boolean" && value !== 0 && value !== 1) throw refuse();
    return Number(value);
  }
  if (type === "f64" || type === "f32" || type === "f16") {
    const number = floatFill(value, type);
    if (number === undefined) throw refuse();
    if (type === "f16") return halfBits(number) ?? fail(refuse());
    return number;
  }
  const signed = type.startsWith("i");
  const bits = 8 * BYTES_OF[type];
  const least = signed ? -(2 ** (bits - 1)) : 0;
  const most = 2 ** (signed ? bits - 1 : bits); // one too many, which float64 holds for 64 bits
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most || (bits < 64 && value === most))
    throw refuse();
  if (bits < 64) return value;
  // What JSON read as 2^53 may have been 2^53 + 1: the policy for integers that are beyond it decides.
  const integer = BigInt(value) + (value === 2 ** 53 ? 1n : value === -(2 ** 53) ? -1n : 0n);
  return value === most ? integer - 1n : integer;
}

function fail(error: FourfoldError): never {
  throw error;
}

/** A number, one of JSON's missing ones as a text, or (version 3) the bits as hexadecimal digits. */
function floatFill(value: unknown, type: "f64" | "f32" | "f16"): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return undefined;
  if (Object.hasOwn(SPECIAL, value)) return SPECIAL[value];
  const size = BYTES_OF[type];
  if (!new RegExp(`^0x[0-9a-fA-F]{${2 * size}}$`).test(value)) return undefined;
  const bytes = Buffer.from(value.slice(2), "hex");
  return type === "f64" ? bytes.readDoubleBE() : type === "f32" ? bytes.readFloatBE() : half(bytes.readUInt16BE());
}

/** The bits of a half with this value. */
function halfBits(value: number): number | undefined {
  for (let bits = 0; bits < 0x10000; bits++) if (Object.is(half(bits), value)) return bits;
  return undefined;
}
