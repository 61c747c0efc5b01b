/**
 * The codecs that zarrita unpacks chunks with, each behind a look at what it is about to do: a chunk's items are known from the metadata,
 * so nothing that unpacks to more is begun. They stand in zarrita's registry under names of our own. gzip and zlib are Node's, which can
 * be told a limit; blosc, lz4 and zstd say in their first bytes how many they make; the checksum of crc32c is compared, which zarrita
 * does not do.
 */
import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import { BOUNDED, BYTE_CODECS } from "./zarr-pipeline.ts";

/** The package. */
export type Zarrita = typeof import("zarrita");

type Registry = Zarrita["registry"];
type CodecEntry = NonNullable<ReturnType<Registry["get"]>>;
/** What zarrita tells a codec of the chunk that it serves. */
interface ChunkFacts {
  readonly dataType: string;
  readonly shape: readonly number[];
}

/** A codec of zarrita that makes bytes of bytes. */
interface ByteCodec {
  readonly kind: "bytes_to_bytes";
  decode(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

const unpackGzip = promisify(gunzip) as (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>;
const unpackZlib = promisify(inflate) as (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>;

/** A codec may stand behind another, so what it makes may be packed items, which are a little more than items at worst. */
const slack = (bytes: number): number => bytes + Math.ceil(bytes / 8) + 4096;

/** The most bytes that a chunk of `items` items of `bytes` bytes each may take in its file. */
export function packedBytesMax(itemsBytes: number): number {
  return slack(slack(itemsBytes));
}

/** Registers the codecs, once for each zarrita. */
export function registerBounded(registry: Registry): void {
  for (const name of BYTE_CODECS) {
    if (name === "shuffle" || registry.has(`${BOUNDED}${name}`)) continue;
    const load = registry.get(name);
    const entry = async (): Promise<unknown> => {
      const inner = name === "gzip" || name === "zlib" || name === "crc32c" ? undefined : ((await load?.()) as InnerCodec | undefined);
      return { fromConfig: (_: unknown, chunk: ChunkFacts) => bounded(name, inner, chunk) };
    };
    registry.set(`${BOUNDED}${name}`, entry as CodecEntry);
  }
}

/** A codec of zarrita that one of ours stands before. Its settings are those of packing, and unpacking needs none. */
interface InnerCodec {
  fromConfig(configuration: unknown, chunk: ChunkFacts): { decode(bytes: Uint8Array): Promise<Uint8Array> };
}

function bounded(
  name: string,
  inner: InnerCodec | undefined,
  chunk: ChunkFacts,
): ByteCodec & { computeEncodedSize?(size: number): number } {
  const bits = Number(/\d+$/.exec(chunk.dataType)?.[0]);
  const most = slack((chunk.shape.reduce((product, extent) => product * extent, 1) * bits) / 8);
  const kind = "bytes_to_bytes";
  if (name === "gzip") return { kind, decode: async (bytes) => plain(await unpackGzip(bytes, { maxOutputLength: most })) };
  if (name === "zlib") return { kind, decode: async (bytes) => plain(await unpackZlib(bytes, { maxOutputLength: most })) };
  if (name === "crc32c") return { kind, decode: withoutSum, computeEncodedSize: (size) => size + 4 };
  const codec = inner?.fromConfig({ acceleration: 1 }, chunk);
  const claimed = name === "blosc" ? bloscClaim : name === "zstd" ? zstdClaim : lz4Claim;
  return {
    kind,
    decode: async (bytes) => {
      const claim = claimed(bytes);
      if (claim > most) throw new RangeError(`it claims to unpack to ${claim} bytes, at most ${most} can be right`);
      if (codec === undefined) throw new TypeError(`zarrita has no codec ${name}`);
      return codec.decode(bytes);
    },
  };
}

/** zarrita takes a slice of a Uint8Array for a copy, which that of a Buffer is not. */
const plain = ({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength);
const cutOff = (): RangeError => new RangeError("it is cut off in its header");
const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView => new DataView(buffer, byteOffset, byteLength);

/** c-blosc 1, README_HEADER: bytes 4 to 7 say how many are made, 8 to 11 how many at a time, 12 to 15 how many there are. */
function bloscClaim(bytes: Uint8Array): number {
  if (bytes.length < 16) throw cutOff();
  const view = viewOf(bytes);
  const packed = view.getUint32(12, true);
  if (packed !== bytes.length) throw new RangeError(`it claims to be ${packed} bytes, there are ${bytes.length}`);
  return Math.max(view.getUint32(4, true), view.getUint32(8, true));
}

/** numcodecs puts the number before the block. */
function lz4Claim(bytes: Uint8Array): number {
  if (bytes.length < 4) throw cutOff();
  return viewOf(bytes).getUint32(0, true);
}

const ZSTD_MAGIC = 0xfd2fb528;

/** RFC 8878, section 3.1.1.1: the frame's content size. */
function zstdClaim(bytes: Uint8Array): number {
  if (bytes.length < 6) throw cutOff();
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== ZSTD_MAGIC) throw new RangeError("it is no zstd frame");
  const descriptor = bytes[4]!;
  const single = (descriptor & 32) !== 0;
  const size = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  if (size === 0) throw new RangeError("its zstd frame does not say how many bytes it holds");
  const at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  if (at + size > bytes.length) throw cutOff();
  if (size === 1) return bytes[at]!;
  if (size === 2) return view.getUint16(at, true) + 256;
  return size === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
}

/** CRC-32C (RFC 3720, appendix B.4) of all bytes but the last four, which hold it, little endian. */
function withoutSum(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 4) throw cutOff();
  const body = bytes.subarray(0, bytes.length - 4);
  let sum = -1;
  for (const byte of body) sum = CRC_TABLE[(sum ^ byte) & 255]! ^ (sum >>> 8);
  const given = viewOf(bytes).getUint32(body.length, true);
  if ((sum ^ -1) >>> 0 !== given) throw new RangeError("its CRC-32C is wrong");
  return body;
}

const CRC_TABLE: Int32Array = Int32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 0 ? sum >>> 1 : (sum >>> 1) ^ 0x82f63b78;
  return sum;
});
