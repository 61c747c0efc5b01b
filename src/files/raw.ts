/** Raw binary files: items and nothing else, whose type and shape the caller says. The size must fit exactly; reading is flat.ts. */
import { checkNames, FourfoldError, nearest, show } from "../errors.ts";
import type { TensorSource } from "../types.ts";
import { FlatSource } from "./flat.ts";
import { BYTES_OF, type FileDtype, type Int64Policy, int64Policy } from "./items.ts";
import { memoryLimit, openFile } from "./reading.ts";

/** What a raw file holds. */
export interface RawOptions {
  /** Row-major extents, outermost first. */
  readonly shape: readonly number[];
  /** The type of an item in the file. */
  readonly dtype: FileDtype;
  /** Bytes before the first item. Default 0. */
  readonly offsetBytes?: number | undefined;
  /** Default `"little"`. */
  readonly byteOrder?: "little" | "big" | undefined;
  /** What is done with 64-bit integers. Default `"exact"`. */
  readonly int64?: Int64Policy | undefined;
}

const OPTIONS = ["shape", "dtype", "offsetBytes", "byteOrder", "int64"] as const;

/**
 * Opens a raw binary file in C order. Little-endian items of f64, f32, i32, i16, i8 and u8 are its one segment; others are decoded by
 * `read`.
 *
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT, ERR_FOURFOLD_DTYPE, ERR_FOURFOLD_SOURCE (no such file), ERR_FOURFOLD_FORMAT (the size does
 * not fit; the message says how many bytes there are too many or too few)
 * @example
 * const x = await openRaw("x.bin", { shape: [1000, 64], dtype: "f32" });
 */
export async function openRaw(path: string, options: RawOptions): Promise<TensorSource> {
  checkNames("openRaw", options, OPTIONS);
  const { shape, dtype: type, offsetBytes = 0, byteOrder = "little" } = options;
  const int64 = int64Policy(options.int64);
  checkType(type, int64, path);
  if (!Array.isArray(shape) || !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0))
    throw bad("shape", shape, "an array of whole numbers from 0 on");
  if (!Number.isSafeInteger(offsetBytes) || offsetBytes < 0) throw bad("offsetBytes", offsetBytes, "a whole number from 0 on");
  if (byteOrder !== "little" && byteOrder !== "big") throw bad("byteOrder", byteOrder, '"little" or "big"');
  const length = shape.reduce((product, extent) => product * extent, 1);
  const bytes = length * BYTES_OF[type];
  if (!Number.isSafeInteger(bytes)) throw bad("shape", shape, "at most 2^53 bytes in all");
  return openFile(path, async (handle, { size }) => {
    const difference = size - offsetBytes - bytes;
    if (difference !== 0)
      throw new FourfoldError(
        "ERR_FOURFOLD_FORMAT",
        `${path} holds ${size} bytes, ${Math.abs(difference)} too ${difference > 0 ? "many" : "few"}: ` +
          `shape [${shape.join(", ")}] of ${type} from byte ${offsetBytes} needs ${offsetBytes + bytes}`,
        {
          given: size,
          expected: offsetBytes + bytes,
          at: { file: path },
          fix: "Check shape, dtype and offsetBytes; the file may be truncated",
        },
      );
    const items = { type, bigEndian: byteOrder === "big", int64 };
    const memoryBytesMax = memoryLimit(undefined);
    return new FlatSource({
      handle,
      path,
      name: path,
      at: offsetBytes,
      shape: [...shape],
      length,
      items,
      fortranOrder: false,
      memoryBytesMax,
    });
  });
}

function checkType(type: FileDtype, int64: Int64Policy, path: string): void {
  const names = Object.keys(BYTES_OF);
  if (typeof type !== "string" || !Object.hasOwn(BYTES_OF, type)) {
    const meant = typeof type === "string" ? nearest(type, names) : undefined;
    throw new FourfoldError("ERR_FOURFOLD_DTYPE", `${path}: items of type ${show(type)} are not read here`, {
      given: type,
      expected: names,
      fix: meant === undefined ? `The types are ${names.join(", ")}` : `Did you mean "${meant}"?`,
    });
  }
  if (int64 === "reject" && (type === "i64" || type === "u64"))
    throw new FourfoldError("ERR_FOURFOLD_DTYPE", `${path}: items of type ${show(type)} are refused, as int64: "reject" asks`, {
      given: type,
      fix: "Convert the file to f64",
    });
}

function bad(option: string, given: unknown, expected: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_ARGUMENT", `openRaw: option "${option}": given ${show(given)}, expected ${expected}`, {
    given,
    expected,
  });
}
