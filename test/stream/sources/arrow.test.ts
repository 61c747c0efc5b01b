// The streams are written by Apache Arrow's own library for JavaScript.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  Bool,
  DateDay,
  DateMillisecond,
  Decimal,
  Dictionary,
  Field,
  FixedSizeList,
  Float16,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  LargeUtf8,
  List,
  makeData,
  Null,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Table,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  tableToIPC,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FourfoldError } from "../../../src/errors.ts";
import { arrow } from "../../../src/stream/index.ts";
import type { ArrowOptions } from "../../../src/stream/sources/arrow-decoder.ts";
import type { DictionaryColumn, ReadContext } from "../../../src/stream/types.ts";
import { type Read, readAll, scratch } from "./reading.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 300);
const folder = scratch();

type Columns = Record<string, Vector>;
const ipc = (columns: Columns): Uint8Array => tableToIPC(new Table(columns), "stream");
const read = (bytes: Uint8Array, changes: Partial<ReadContext> = {}, options: ArrowOptions = {}): Promise<Read> =>
  readAll(arrow([bytes], options), changes);
const valuesOf = ({ rows }: Read) => rows.map(({ value }) => value);

describe("values", () => {
  const integers = [1, 0, 100];
  test.each<readonly [string, Vector, new (n: number) => object, readonly number[]]>([
    ["float64", vectorFromArray([1.5, -0, 1e300], new Float64()), Float64Array, [1.5, -0, 1e300]],
    ["float32", vectorFromArray([1.5, -0, 0.1], new Float32()), Float32Array, [1.5, -0, Math.fround(0.1)]],
    ["float16", vectorFromArray([1.5, -0, 65504], new Float16()), Float64Array, [1.5, -0, 65504]],
    ["int8", vectorFromArray(integers, new Int8()), Int8Array, integers],
    ["int16", vectorFromArray(integers, new Int16()), Int16Array, integers],
    ["int32", vectorFromArray(integers, new Int32()), Int32Array, integers],
    ["int64", vectorFromArray([-1n, 2n ** 53n, 3n], new Int64()), Float64Array, [-1, 2 ** 53, 3]],
    ["uint8", vectorFromArray(integers, new Uint8()), Uint8Array, integers],
    ["uint16", vectorFromArray([65_535], new Uint16()), Float64Array, [65_535]],
    ["uint32", vectorFromArray([4_294_967_295], new Uint32()), Float64Array, [4_294_967_295]],
    ["uint64", vectorFromArray([2n ** 53n], new Uint64()), Float64Array, [2 ** 53]],
  ])("%s", async (_, value, array, expected) => {
    const result = await read(ipc({ value }));
    expect(result.rejected).toEqual([]);
    expect(result.chunks[0]!.block!.data).toBeInstanceOf(array);
    expect(valuesOf(result)).toEqual(expected);
  });

  test("null is NaN, in every type", async () => {
    for (const type of [new Float64(), new Float32(), new Int32(), new Uint8()])
      expect(valuesOf(await read(ipc({ value: vectorFromArray([1, null, 3], type) })))).toEqual([1, Number.NaN, 3]);
    expect(valuesOf(await read(ipc({ value: vectorFromArray([1n, null], new Int64()) })))).toEqual([1, Number.NaN]);
  });

  test("an int64 beyond 2^53 is rejected, and the other rows go on", async () => {
    const { rows, rejected } = await read(
      ipc({
        value: vectorFromArray([1n, 2n ** 53n + 1n, -(2n ** 60n), 4n], new Int64()),
        weight: vectorFromArray([1, 2, 3, 4], new Float32()),
      }),
      { weighted: true },
    );
    expect(rows).toEqual([
      { keys: [], value: 1, weight: 1 },
      { keys: [], value: 4, weight: 4 },
    ]);
    expect(rejected.map(({ error }) => [error.at?.row, error.message])).toEqual([
      [
        1,
        'arrow:row 1: batch 0: field "value" is 9007199254740993, an integer beyond 2^53. To accept rounding, cast the column to float64',
      ],
      [2, expect.stringContaining("-1152921504606846976")],
    ]);
  });

  test("without nulls are handed over as they lie, in chunks of rowsMax", async () => {
    const value = vectorFromArray(
      Array.from({ length: 10 }, (_, i) => i / 2),
      new Float64(),
    );
    const weight = vectorFromArray(
      Array.from({ length: 10 }, (_, i) => i),
      new Float32(),
    );
    const bytes = ipc({ value, weight });
    const { chunks } = await read(bytes, { weighted: true, rowsMax: 4 });
    expect(chunks.map(({ block }) => block!.rows)).toEqual([4, 4, 2]);
    const buffers = new Set(chunks.flatMap(({ block }) => [block!.data.buffer, (block!.weights as Float32Array).buffer]));
    expect(buffers.size).toBe(1);
    expect(chunks.map(({ bytes: read }) => read > 0)).toEqual([false, false, true]);
    expect(chunks.at(-1)!.next).toBe(bytes.length - 8);
  });
});

describe("keys", () => {
  const value = vectorFromArray([1, 2, 3], new Float64());
  test.each<readonly [string, Vector, readonly unknown[]]>([
    ["text", vectorFromArray(["eu", "é🎈", ""], new Utf8()), ["eu", "é🎈", ""]],
    ["large text", vectorFromArray(["a", "b", "c"], new LargeUtf8()), ["a", "b", "c"]],
    ["booleans", vectorFromArray([true, false, true], new Bool()), [true, false, true]],
    ["int32", vectorFromArray([1, -2, 3], new Int32()), [1, -2, 3]],
    ["int64", vectorFromArray([1n, 2n ** 53n, 2n ** 60n], new Int64()), [1, 2 ** 53, 2n ** 60n]],
    ["float64", vectorFromArray([0.5, 1, 2], new Float64()), [0.5, 1, 2]],
    ["a dictionary of text", vectorFromArray(["x", "y", "x"], new Dictionary(new Utf8(), new Int32())), ["x", "y", "x"]],
    ["a dictionary with int8 codes", vectorFromArray(["x", "y", "x"], new Dictionary(new Utf8(), new Int8())), ["x", "y", "x"]],
    ["a dictionary with uint16 codes", vectorFromArray(["x", "y", "x"], new Dictionary(new Utf8(), new Uint16())), ["x", "y", "x"]],
    [
      "a dictionary with int64 codes",
      new Vector([
        makeData({
          type: new Dictionary(new Utf8(), new Int64() as unknown as Int32),
          data: new BigInt64Array([0n, 1n, 0n]) as unknown as Int32Array,
          dictionary: vectorFromArray(["x", "y"], new Utf8()),
        }),
      ]),
      ["x", "y", "x"],
    ],
    ["a dictionary of numbers", vectorFromArray([7, 8, 7], new Dictionary(new Int32(), new Int32())), [7, 8, 7]],
  ])("%s", async (_, key, expected) => {
    const { rows, rejected } = await read(ipc({ value, key }), { keys: ["key"] });
    expect(rejected).toEqual([]);
    expect(rows.map(({ keys }) => keys[0])).toEqual(expected);
  });

  test("of a dictionary keep one dictionary for all batches", async () => {
    const site = vectorFromArray(["x", "y", "x"], new Dictionary(new Utf8(), new Int32()));
    const table = new Table({ value, site });
    const writer = new RecordBatchStreamWriter();
    for (const batch of [...table.batches, ...table.batches]) writer.write(batch);
    const { chunks, rows } = await read(writer.finish().toUint8Array(true), { keys: ["site"] });
    expect(rows.map(({ keys }) => keys[0])).toEqual(["x", "y", "x", "x", "y", "x"]);
    const columns = chunks.map(({ block }) => block!.keys[0] as DictionaryColumn);
    expect(columns).toHaveLength(2);
    expect(columns[0]!.dictionary).toBe(columns[1]!.dictionary);
    expect(columns[0]!.codes).toBeInstanceOf(Int32Array);
  });

  test("of a dictionary that grows are read with what it has by then", async () => {
    const dictionary = vectorFromArray(["x", "y"], new Utf8()).concat(vectorFromArray(["z"], new Utf8()));
    const type = new Dictionary(new Utf8(), new Int32());
    const site = new Vector([makeData({ type, data: new Int32Array([2, 0, 1]), dictionary })]);
    const { rows, rejected } = await read(ipc({ value, site }), { keys: ["site"] });
    expect(rejected).toEqual([]);
    expect(rows.map(({ keys }) => keys[0])).toEqual(["z", "x", "y"]);
  });

  test("whose code the dictionary does not have are rejected", async () => {
    const type = new Dictionary(new Utf8(), new Int32());
    const site = new Vector([makeData({ type, data: new Int32Array([0, 7, -1]), dictionary: vectorFromArray(["x"], new Utf8()) })]);
    const result = await read(ipc({ value, site }), { keys: ["site"] });
    expect(valuesOf(result)).toEqual([1]);
    expect(result.rejected.map(({ error }) => error.message)).toEqual([
      'arrow:row 1: batch 0: key "site" has the code 7, which its dictionary does not have',
      'arrow:row 2: batch 0: key "site" has the code -1, which its dictionary does not have',
    ]);
  });

  test("may be a path", async () => {
    for (const type of [new Utf8(), new Dictionary(new Utf8(), new Int32())]) {
      const { rows, rejected } = await read(
        ipc({ value, p: vectorFromArray(["eu/a", "us/b", "us"], type) }),
        { keys: ["region", "site"] },
        { fields: { path: "p" } },
      );
      expect(rows.map(({ keys }) => keys)).toEqual([
        ["eu", "a"],
        ["us", "b"],
      ]);
      expect(rejected).toMatchObject([{ error: { message: expect.stringContaining('field "p" is "us": 1 keys, expected 2') } }]);
    }
  });

  test("that are null or NaN are rejected", async () => {
    for (const key of [
      vectorFromArray(["a", null, "c"], new Utf8()),
      vectorFromArray(["a", null, "c"], new Dictionary(new Utf8(), new Int32())),
      vectorFromArray([1, Number.NaN, 3], new Float64()),
      vectorFromArray([true, null, false], new Bool()),
    ]) {
      const result = await read(ipc({ value, key }), { keys: ["key"] });
      expect(valuesOf(result)).toEqual([1, 3]);
      expect(result.rejected).toMatchObject([{ error: { code: "ERR_FOURFOLD_RECORD", at: { row: 1, column: "key" } } }]);
    }
  });
});

describe("times", () => {
  const at = Date.UTC(2024, 4, 6, 7, 8, 9, 123);
  const value = vectorFromArray([1, 2], new Float64());
  test.each<readonly [string, Vector, number, ArrowOptions["timeUnit"]]>([
    ["timestamp in seconds", vectorFromArray([at - 123, null], new TimestampSecond()), at - 123, undefined],
    ["timestamp in milliseconds", vectorFromArray([at, null], new TimestampMillisecond()), at, undefined],
    ["timestamp in microseconds", vectorFromArray([at, null], new TimestampMicrosecond()), at, undefined],
    ["timestamp in nanoseconds", vectorFromArray([at, null], new TimestampNanosecond()), at, undefined],
    ["date in days", vectorFromArray([new Date(at), null], new DateDay()), Date.UTC(2024, 4, 6), undefined],
    [
      "date in milliseconds",
      vectorFromArray([new Date(Date.UTC(2024, 4, 6)), null], new DateMillisecond()),
      Date.UTC(2024, 4, 6),
      undefined,
    ],
    ["text", vectorFromArray([new Date(at).toISOString(), "soon"], new Utf8()), at, undefined],
    ["int64", vectorFromArray([BigInt(at) * 1000n, null], new Int64()), at, "us"],
    ["float64", vectorFromArray([at, Number.NaN], new Float64()), at, undefined],
  ])("%s", async (_, time, expected, timeUnit) => {
    const { rows, rejected } = await read(ipc({ value, time }), { timed: true }, timeUnit === undefined ? {} : { timeUnit });
    expect(rows).toEqual([{ keys: [], value: 1, time: expected }]);
    expect(rejected).toMatchObject([{ error: { at: { row: 1, column: "time" } } }]);
  });
});

describe("frames", () => {
  const fixed = (values: Float32Array | Float64Array, size: number, nullBitmap?: Uint8Array): Vector => {
    const type = values instanceof Float32Array ? new Float32() : new Float64();
    const child = makeData({ type: type as Float64, data: values as Float64Array });
    const length = values.length / size;
    return new Vector([
      makeData({
        type: new FixedSizeList(size, new Field("item", type as Float64)),
        length,
        child,
        ...(nullBitmap === undefined ? {} : { nullBitmap, nullCount: 1 }),
      }),
    ]);
  };

  test("are handed over as they lie in a column of fixed-size lists", async () => {
    const values = Float32Array.from({ length: 12 }, (_, i) => i / 4);
    const result = await read(ipc({ value: fixed(values, 3) }), { frameValues: 3, rowsMax: 3 });
    expect(result.chunks.map(({ block }) => block!.data)).toEqual([values.subarray(0, 9), values.subarray(9)]);
    expect(result.chunks[0]!.block!.data.buffer).toBe(result.chunks[1]!.block!.data.buffer);
  });

  test("that are null are rejected", async () => {
    const result = await read(ipc({ value: fixed(new Float64Array([1, 2, 3, 4, 5, 6]), 2, new Uint8Array([0b101])) }), { frameValues: 2 });
    expect(valuesOf(result)).toEqual([
      [1, 2],
      [5, 6],
    ]);
    expect(result.rejected).toMatchObject([
      { error: { message: expect.stringContaining('row 1: batch 0: field "value" is null, expected 2 numbers') } },
    ]);
  });

  test("may be lists, if they have the right length", async () => {
    const type = new List(new Field("item", new Float64()));
    expect(
      valuesOf(
        await read(
          ipc({
            value: vectorFromArray(
              [
                [1, 2],
                [3, 4],
              ],
              type,
            ),
          }),
          { frameValues: 2 },
        ),
      ),
    ).toEqual([
      [1, 2],
      [3, 4],
    ]);
    const { rows, rejected } = await read(ipc({ value: vectorFromArray([[1, 2], [3], null, [4, null], [], [5, 6, 7]], type) }), {
      frameValues: 2,
    });
    expect(rows.map(({ value }) => value)).toEqual([
      [1, 2],
      [4, Number.NaN],
    ]);
    expect(rejected.map(({ error }) => error.at?.row)).toEqual([1, 2, 4, 5]);
  });
});

describe("a schema that does not fit ends the reading with a typed error", () => {
  const value = vectorFromArray([1], new Float64());
  test.each<readonly [string, Columns, Partial<ReadContext>, string]>([
    ["no such column", { vaule: value }, {}, 'there is no column "value"; the schema has ["vaule"]. Did you mean "vaule"?'],
    ["text as a value", { value: vectorFromArray(["1"], new Utf8()) }, {}, 'column "value" is of type utf8, expected a number'],
    [
      "a decimal as a value",
      { value: new Vector([makeData({ type: new Decimal(2, 10), length: 1, data: new Uint32Array(4) })]) },
      {},
      "of type decimal",
    ],
    ["a dictionary as a value", { value: vectorFromArray([1], new Dictionary(new Int32(), new Int32())) }, {}, "dictionary of int32"],
    [
      "a timestamp as a key",
      { value, key: vectorFromArray([1], new TimestampMillisecond()) },
      { keys: ["key"] },
      "of type timestamp, expected a key",
    ],
    ["a boolean as a time", { value, time: vectorFromArray([true], new Bool()) }, { timed: true }, "of type bool, expected a time"],
    ["a number as a frame", { value }, { frameValues: 2 }, "expected a list of 2 numbers: one frame"],
  ])("%s", async (_, columns, changes, message) => {
    await expect(read(ipc(columns), changes)).rejects.toMatchObject({
      code: "ERR_FOURFOLD_COLUMN",
      message: expect.stringContaining(message),
    });
  });

  test("columns that nobody asks for may be of any type", async () => {
    const point = new Struct([new Field("x", new Float64()), new Field("tags", new List(new Field("item", new Utf8())))]);
    const columns = {
      a: vectorFromArray([{ x: 1, tags: ["p", "q"] }, null], point),
      b: new Vector([makeData({ type: new Null(), length: 2 })]),
      c: vectorFromArray([["u"], null], new List(new Field("item", new Dictionary(new Utf8(), new Int32())))),
      value: vectorFromArray([1, 2], new Float64()),
      d: vectorFromArray([true, null], new Bool()),
    };
    expect(valuesOf(await read(ipc(columns)))).toEqual([1, 2]);
  });
});

/** A stream with most of what there is: two batches, a dictionary, text, nulls, times, frames. */
function sample(): Uint8Array {
  const columns = {
    value: vectorFromArray([1, null, 3, 4], new Float64()),
    site: vectorFromArray(["x", "y", null, "x"], new Dictionary(new Utf8(), new Int8())),
    region: vectorFromArray(["eu", "us", "eu", "é"], new Utf8()),
    time: vectorFromArray([1, 2, 3, null], new TimestampMillisecond()),
  };
  const writer = new RecordBatchStreamWriter();
  const { batches } = new Table(columns);
  for (const batch of [...batches, ...batches]) writer.write(batch);
  return writer.finish().toUint8Array(true);
}
const KEYED = { keys: ["region", "site"], timed: true } satisfies Partial<ReadContext>;

describe("bytes", () => {
  test("may be cut anywhere", async () => {
    const bytes = sample();
    const whole = await read(bytes, KEYED);
    expect(whole.rows).toHaveLength(4);
    expect(whole.rejected).toHaveLength(4);
    for (const size of [1, 7, 64, 1000]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
      const cut = await readAll(arrow(pieces), KEYED);
      expect([cut.rows, cut.rejected]).toEqual([whole.rows, whole.rejected]);
    }
  });

  test("may come from a file, which is not replayable", async () => {
    const path = join(folder, "sample.arrows");
    writeFileSync(path, sample());
    expect(arrow(path).replayable).toBe(false);
    expect((await readAll(arrow(path), KEYED)).rows).toHaveLength(4);
  });

  test("that end inside a message are damage, but not those that only lack the end", async () => {
    const bytes = sample();
    let whole = 0;
    for (let end = 0; end < bytes.length; end++) {
      const result = await read(bytes.subarray(0, end), KEYED).catch((error: unknown) => error);
      if (result instanceof Error) expect(result).toMatchObject({ code: "ERR_FOURFOLD_FORMAT", at: { file: "arrow" } });
      else whole++;
    }
    // Nothing at all, and after each of four messages: schema, dictionary, batch, batch.
    expect(whole).toBe(5);
  });

  test("that are changed end in records or in a typed error", async () => {
    const bytes = sample();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), async (changes) => {
        const changed = bytes.slice();
        for (const [at, byte] of changes) changed[at] = byte;
        const result = await read(changed, KEYED).catch((error: unknown) => error);
        if (result instanceof Error) expect(result).toBeInstanceOf(FourfoldError);
      }),
      { numRuns: RUNS * 3 },
    );
  });

  test("that are not of the format are a typed error", async () => {
    for (const text of ["value\n1\n2\n", '{"value":1}\n', "ARROW1\0\0", "\0\0\0\0\0\0\0\0more"])
      await expect(read(Buffer.from(text))).rejects.toMatchObject({ code: "ERR_FOURFOLD_FORMAT" });
  });
});

describe("what a message says of itself is not believed", () => {
  /** A message that announces `body` bytes; its header is the sample's schema. */
  const announcing = (body: bigint): Uint8Array => {
    const bytes = sample().slice();
    const view = new DataView(bytes.buffer);
    const root = 8 + view.getUint32(8, true);
    const table = root - view.getInt32(root, true);
    // Field 3 of a message is its body's length. A schema has none, so the field is looked for in the first message that has one.
    const first = 8 + view.getUint32(4, true);
    const next = first + 8 + view.getUint32(first + 8, true);
    const vtable = next - view.getInt32(next, true);
    expect([table, vtable].every((at) => at > 0)).toBe(true);
    view.setBigInt64(next + view.getUint16(vtable + 4 + 2 * 3, true), body, true);
    return bytes;
  };

  test("a body beyond bodyBytesMax is refused before it is waited for", async () => {
    await expect(read(announcing(2n ** 40n))).rejects.toMatchObject({
      code: "ERR_FOURFOLD_MEMORY",
      message: expect.stringContaining("beyond bodyBytesMax 67108864"),
    });
    await expect(read(announcing(-8n))).rejects.toMatchObject({ code: "ERR_FOURFOLD_FORMAT" });
    await expect(read(announcing(2n ** 62n))).rejects.toMatchObject({ code: "ERR_FOURFOLD_FORMAT" });
    await expect(read(sample(), KEYED, { bodyBytesMax: 8 })).rejects.toMatchObject({ code: "ERR_FOURFOLD_MEMORY" });
  });

  test("a body that is announced and does not come takes no memory", async () => {
    const before = process.memoryUsage().arrayBuffers;
    await expect(read(announcing(2n ** 26n))).rejects.toMatchObject({ code: "ERR_FOURFOLD_FORMAT" });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
  });

  test("a description of gigabytes is refused at once", async () => {
    await expect(read(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]))).rejects.toMatchObject({
      code: "ERR_FOURFOLD_FORMAT",
    });
  });
});

test("options that cannot be are typed errors", () => {
  for (const options of [{ bodyBytesMax: 0 }, { bodyBytes: 1 }])
    expect(() => arrow([], options as ArrowOptions)).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_ARGUMENT" }));
});

test("a batch without rows is none", async () => {
  const schema = new Schema([new Field("value", new Float64())]);
  const batch = new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length: 0, children: [makeData({ type: new Float64(), data: new Float64Array() })] }),
  );
  expect(await read(tableToIPC(new Table([batch]), "stream"))).toMatchObject({ rows: [], rejected: [] });
});
