/** What every source of tensors does with files: opens plain ones, reads bytes that must be there, and checks what it is to fill. */
import { constants, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { badOption, FourfoldError, show, systemReason } from "../errors.ts";
import type { TensorSource, TypedData } from "../types.ts";
import { ARRAY_OF } from "./items.ts";

/** Bytes of decoded items that a source keeps at most, unless it is told otherwise: enough for long runs, small beside any machine. */
const MEMORY_BYTES = 1 << 26;

/** The limit that a caller gave. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function memoryLimit(given: number | undefined, otherwise: number = MEMORY_BYTES): number {
  const bytes = given ?? otherwise;
  if (typeof bytes !== "number" || !(bytes >= 1)) throw badOption("memoryBytesMax", given, "a number of bytes from 1 on");
  return bytes;
}

/** The error of a path at which nothing can be opened. */
export function cannotOpen(path: string, cause: unknown): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_SOURCE", `${path} cannot be opened`, {
    cause,
    given: path,
    at: { file: path },
    fix: "Check the path",
  });
}

/** Opens a plain file for `use`, and closes it if that fails. @throws FourfoldError ERR_FOURFOLD_SOURCE */
export async function openFile<T>(path: string, use: (handle: FileHandle, stats: Stats) => Promise<T>): Promise<T> {
  let handle: FileHandle;
  try {
    // Without O_NONBLOCK, the opening of a named pipe would wait for somebody to write to it.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    throw cannotOpen(path, cause);
  }
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new FourfoldError("ERR_FOURFOLD_SOURCE", `${path} is no file`, { given: path, at: { file: path } });
    return await use(handle, stats);
  } catch (error) {
    await handle.close();
    throw error instanceof FourfoldError ? error : unreadable(path, error);
  }
}

/** Fills `into` from byte `at` on. @throws FourfoldError ERR_FOURFOLD_FORMAT where the file has become shorter, ERR_FOURFOLD_SOURCE */
export async function readBytes(handle: FileHandle, path: string, into: Uint8Array, at: number): Promise<void> {
  for (let got = 0; got < into.length; ) {
    let bytesRead: number;
    try {
      ({ bytesRead } = await handle.read(into, got, into.length - got, at + got));
    } catch (error) {
      throw unreadable(path, error);
    }
    if (bytesRead === 0) throw becameShorter(path, at + got, at + into.length);
    got += bytesRead;
  }
}

/** The error for a file that ends before the byte that its size promised. */
export function becameShorter(path: string, byte: number, expected: number): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_FORMAT", `${path}: byte ${byte}: the file became shorter while it was read`, {
    expected,
    at: { file: path, index: byte },
  });
}

/** The error for a file that the system does not let us read. */
export function unreadable(path: string, cause: unknown): FourfoldError {
  const reason = systemReason(cause);
  return new FourfoldError("ERR_FOURFOLD_SOURCE", `${path} cannot be read${reason === undefined ? "" : `: ${reason}`}`, {
    cause,
    given: path,
    at: { file: path },
  });
}

/** Checks that a source can fill `target` from item `first` on. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkTarget(source: Pick<TensorSource, "name" | "dtype" | "length">, target: TypedData, first: number): void {
  const { name, dtype, length } = source;
  if (!(target instanceof ARRAY_OF[dtype]))
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${name} fills a ${ARRAY_OF[dtype].name}, given ${show(target)}`, {
      given: show(target),
      expected: ARRAY_OF[dtype].name,
    });
  if (!Number.isSafeInteger(first) || first < 0 || first + target.length > length)
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${name} has items 0 to ${length}, asked for ${first} to ${first + target.length}`, {
      given: first,
      expected: `0 to ${length - target.length}`,
    });
}

/** Refuses to read a source that has been closed. @throws FourfoldError ERR_FOURFOLD_SOURCE */
export function checkOpen(closed: boolean, name: string): void {
  if (closed)
    throw new FourfoldError("ERR_FOURFOLD_SOURCE", `${name} is closed`, { given: name, fix: "Close a source after the last read of it" });
}
