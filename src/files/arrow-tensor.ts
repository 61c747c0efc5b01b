/** A column of an Arrow file as a tensor at rest: dense where all its lists have one size, ragged otherwise. */
import type { ArrowField } from "../arrow/schema.ts";
import { badOption, checkNames, FourfoldError } from "../errors.ts";
import type { TensorSource } from "../types.ts";
import { ArrowBuffers } from "./arrow-buffers.ts";
import { ArrowBytes } from "./arrow-bytes.ts";
import { checkCodec } from "./arrow-codec.ts";
import { type ColumnBatch, columnBatch, columnOf, type NestedColumn, type StoredBuffer } from "./arrow-column.ts";
import { readMessages } from "./arrow-messages.ts";
import { readNested } from "./arrow-nested.ts";
import { Holds } from "./holds.ts";
import { type Int64Policy, int64Policy } from "./items.ts";
import { checkTarget, memoryLimit } from "./reading.ts";

/** How an Arrow file is opened. */
export interface ArrowTensorOptions {
  /** The column to read. Default: the only one there is. */
  readonly column?: string;
  /** What becomes of int64 and uint64: `"exact"` (the default), an error beyond ±2^53; `"number"`, the nearest float64; `"reject"`, refused. */
  readonly int64?: Int64Policy;
  /** Bytes that offsets of lists, or the decompressed buffers of one batch, may take. Default 1 GiB. */
  readonly memoryBytesMax?: number;
  /** Stops the opening, which reads the offsets of all lists. */
  readonly signal?: AbortSignal;
}

const MEMORY_BYTES_MAX = 2 ** 30;

/**
 * Opens one column of an Arrow IPC file, or of a stream that was saved, of any size: batches are joined, and what lies in the file as it does
 * in memory is read from where it lies.
 *
 * Numbers give shape [rows]; FixedSizeList levels add their sizes: [rows, …, size]. With a List or LargeList among them the column is ragged:
 * `offsets`, innermost first, one array for each level of lists, the lists of one size included. Those are held in memory, four bytes a list.
 * Leaves: int8 to int64, uint8 to uint64, float16 to float64 and booleans (1 and 0). A null leaf is NaN, a null list is empty, and a null
 * FixedSizeList holds nulls. dtype: float16 and float32 give f32; float64, uint32 and 64-bit integers f64; uint16 i32; booleans u8; other
 * integers their own, and all integers and booleans f64 where the column has nulls. Buffers may be compressed: by Zstandard on a Node that
 * has it (22.15), by LZ4 with the package lz4-napi.
 *
 * @throws FourfoldError ERR_FOURFOLD_SOURCE (cannot be opened, or compressed in a way that cannot be read here), ERR_FOURFOLD_FORMAT (damaged;
 * with the byte), ERR_FOURFOLD_COLUMN (no such column, or no numbers: dictionaries, texts, times), ERR_FOURFOLD_MEMORY,
 * ERR_FOURFOLD_OFFSETS (more than 2^32 - 1 children in a level), ERR_FOURFOLD_ARGUMENT, ERR_FOURFOLD_ABORTED; `read` ERR_FOURFOLD_INTEGER with row
 * @example
 * const events = await openArrowTensor("events.arrow", { column: "energies" }); // List<List<float32>>
 * try { await engine.run(chain({ track: sum(), event: max(), all: mean() }), events); } finally { await events.close(); }
 */
export async function openArrowTensor(path: string, options: ArrowTensorOptions = {}): Promise<TensorSource> {
  checkNames("openArrowTensor", options, ["column", "int64", "memoryBytesMax", "signal"]);
  const { column: wanted, signal } = options;
  const memoryBytesMax = memoryLimit(options.memoryBytesMax, MEMORY_BYTES_MAX);
  const int64 = int64Policy(options.int64);
  if (wanted !== undefined && typeof wanted !== "string") throw badOption("column", wanted, "the name of a column");
  const file = await ArrowBytes.open(path);
  try {
    const { column, batches } = await readBatches(file, wanted, int64, signal);
    for (const batch of batches) checkBatchMemory(file, batch, memoryBytesMax);
    return await tensorOf(file, column, batches, int64, memoryBytesMax, signal);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readBatches(
  file: ArrowBytes,
  wanted: string | undefined,
  int64: Int64Policy,
  signal: AbortSignal | undefined,
): Promise<{ column: NestedColumn; batches: ColumnBatch[] }> {
  let fields: readonly ArrowField[] = [];
  let column: NestedColumn | undefined;
  const batches: ColumnBatch[] = [];
  await readMessages(
    file,
    {
      schema: (found) => {
        fields = found;
        column = columnOf(file, fields, wanted, int64);
      },
      batch: (message) => batches.push(columnBatch(file, fields, column!, message)),
    },
    signal,
  );
  const codecs = new Set(batches.flatMap((batch) => buffersOf(batch).map(({ compression }) => compression)));
  for (const codec of codecs) if (codec !== undefined) await checkCodec(codec, file.path);
  return { column: column!, batches };
}

function buffersOf({ levels, leaf }: ColumnBatch): StoredBuffer[] {
  const all = [...levels.flatMap(({ validity, offsets }) => [validity, offsets]), leaf.validity, leaf.values];
  return all.filter((buffer) => buffer !== undefined);
}

/** What is decompressed is held, batch by batch. */
function checkBatchMemory(file: ArrowBytes, batch: ColumnBatch, memoryBytesMax: number): void {
  const bytes = buffersOf(batch).reduce((sum, buffer) => sum + (buffer.compression === undefined ? 0 : buffer.bytes), 0);
  if (bytes > memoryBytesMax)
    throw new FourfoldError(
      "ERR_FOURFOLD_MEMORY",
      `${file.path}: byte ${batch.at}: a batch of ${bytes} bytes, beyond memoryBytesMax ${memoryBytesMax}`,
      {
        given: bytes,
        expected: `at most ${memoryBytesMax} bytes`,
        fix: "Write smaller record batches or no compression, or raise memoryBytesMax",
        at: { file: file.path, index: batch.at },
      },
    );
}

async function tensorOf(
  file: ArrowBytes,
  column: NestedColumn,
  batches: readonly ColumnBatch[],
  int64: Int64Policy,
  memoryBytesMax: number,
  signal: AbortSignal | undefined,
): Promise<TensorSource> {
  const nested = await readNested(file, new ArrowBuffers(file), column, batches, int64, memoryBytesMax, signal);
  const { leaves, dtype, shape, offsets } = nested;
  const { length, segments } = leaves;
  const holds = new Holds(file.path, () => file.close());
  return {
    kind: "fourfold.tensor",
    name: file.path,
    dtype,
    length,
    shape,
    offsets,
    segments,
    read: async (target, first, { signal } = {}) => {
      checkTarget({ name: file.path, dtype, length }, target, first);
      await holds.during(() => leaves.read(target, first, signal));
    },
    hold: () => holds.hold(),
    close: () => holds.close(),
  };
}
