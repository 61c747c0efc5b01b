/**
 * Compressed buffers of Arrow: Zstandard by Node itself, LZ4 frames by a package that is loaded on first use. A result of another size
 * than was claimed is damage, and nothing much larger is ever made.
 */
import { promisify } from "node:util";
import zlib from "node:zlib";
import type { Compression } from "../arrow/schema.ts";
import { FourfoldError } from "../errors.ts";

/** The version that package.json names: what the message says must be what was tested. */
const INSTALL_LZ4 = "npm install lz4-napi@2.10.0";
/** A piece of Zstandard's output: neither many small ones, nor much for a claim that lies. */
const PIECE_BYTES_MAX = 1 << 20;

type Unzstd = (bytes: Uint8Array, options: { readonly maxOutputLength: number; readonly chunkSize: number }) => Promise<Buffer>;

/** Node's Zstandard, which came with 22.15 and 23.8. */
function unzstd(path: string): Unzstd {
  const { zstdDecompress } = zlib as { readonly zstdDecompress?: (...args: unknown[]) => void };
  if (zstdDecompress !== undefined) return promisify(zstdDecompress) as unknown as Unzstd;
  throw new FourfoldError(
    "ERR_FOURFOLD_SOURCE",
    `${path}: its buffers are compressed with Zstandard, which Node ${process.versions.node} cannot read`,
    {
      given: process.versions.node,
      expected: "Node 22.15 or newer",
      fix: "Use a newer Node, or write the file with LZ4 or without compression",
      at: { file: path },
    },
  );
}

async function unlz4(path: string): Promise<(bytes: Uint8Array) => Promise<Buffer>> {
  try {
    return (await import("lz4-napi")).decompressFrame;
  } catch (cause) {
    throw new FourfoldError("ERR_FOURFOLD_SOURCE", `${path}: its buffers are compressed with LZ4, which needs the package lz4-napi`, {
      fix: `Install it: ${INSTALL_LZ4}; or write the file without compression`,
      at: { file: path },
      cause,
    });
  }
}

/** Throws if buffers of this kind cannot be read here. @throws FourfoldError ERR_FOURFOLD_SOURCE */
export async function checkCodec(compression: Compression, path: string): Promise<void> {
  if (compression === "zstd") unzstd(path);
  else await unlz4(path);
}

/** Undoes the compression of a buffer that claims to hold `claim` bytes; throws an Error in words if it does not. */
export async function decompress(compression: Compression, bytes: Uint8Array, claim: number, path: string): Promise<Uint8Array> {
  let result: Uint8Array;
  if (compression === "zstd") {
    const chunkSize = Math.max(64, Math.min(claim, PIECE_BYTES_MAX));
    result = await unzstd(path)(bytes, { maxOutputLength: Math.max(1, claim), chunkSize });
  } else {
    const read = await unlz4(path);
    const most = frameBytesMax(bytes);
    if (most < claim || most - claim >= BLOCK_BYTES_MAX) throw new Error(`a frame of up to ${most} bytes, ${claim} were claimed`);
    result = await read(bytes);
  }
  if (result.length !== claim) throw new Error(`${result.length} bytes, ${claim} were claimed`);
  return result;
}

const LZ4_MAGIC = 0x184d2204;
/** The largest block of an LZ4 frame. */
const BLOCK_BYTES_MAX = 1 << 22;

/**
 * The most bytes that a frame of LZ4 can hold, by its blocks (github.com/lz4/lz4, doc/lz4_Frame_format.md): the package has no limit of its
 * own. All blocks but the last are full, as writers make them, so that this is less than one block too many.
 */
function frameBytesMax(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 7 || view.getUint32(0, true) !== LZ4_MAGIC) throw new Error("no frame of LZ4");
  const flags = bytes[4]!;
  const size = (bytes[5]! >> 4) & 7;
  if (flags >> 6 !== 1 || size < 4) throw new Error("a frame of LZ4 with unknown flags");
  const blockBytes = 1 << (8 + 2 * size);
  let at = 7 + (flags & 8 ? 8 : 0) + (flags & 1 ? 4 : 0);
  for (let blocks = 0; ; blocks++) {
    if (at + 4 > bytes.length) throw new Error("a frame of LZ4 that ends inside");
    const word = view.getUint32(at, true);
    if (word === 0) {
      if (at + 4 + (flags & 4 ? 4 : 0) !== bytes.length) throw new Error("bytes after a frame of LZ4");
      return blocks * blockBytes;
    }
    at += 4 + (word & 0x7fffffff) + (flags & 16 ? 4 : 0);
  }
}
