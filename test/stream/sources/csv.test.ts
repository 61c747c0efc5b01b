// The oracle for CSV is csv-parse, a library with another author and another way to read.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { csv, tail } from "../../../src/stream/index.ts";
import type { CsvOptions } from "../../../src/stream/sources/csv-decoder.ts";
import type { ReadContext } from "../../../src/stream/types.ts";
import { contextOf, type Row, readAll, rowsOf, scratch } from "./reading.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 300);
const folder = scratch();
const KEYED = { keys: ["region", "site"], timed: true } satisfies Partial<ReadContext>;

const read = (text: string | Uint8Array, changes: Partial<ReadContext> = {}, options: CsvOptions = {}) =>
  readAll(csv([typeof text === "string" ? Buffer.from(text) : text], options), changes);

describe("records", () => {
  test("have the columns that the header names", async () => {
    const { rows, rejected } = await read(
      "site,note,value,region,time,weight,share\ns1,x,2.5,eu,2024-05-06 07:08,3,.5\n1,,-0,7,1700000000000,,1e3\n",
      { ...KEYED, weighted: true, childWeights: ["g"] },
      { fields: { childWeights: { g: "share" } } },
    );
    expect(rejected).toEqual([]);
    expect(rows).toEqual([
      { keys: ["eu", "s1"], value: 2.5, time: Date.UTC(2024, 4, 6, 7, 8), weight: 3, childWeights: { g: 0.5 } },
      { keys: ["7", "1"], value: -0, time: 1_700_000_000_000, weight: Number.NaN, childWeights: { g: 1000 } },
    ]);
  });

  test.each<readonly [string, CsvOptions, string]>([
    ["a byte order mark and CR LF", {}, "\ufeffregion,value\r\neu,1\r\nus,2\r\n"],
    ["a byte order mark and quotes", {}, '\ufeff"region","value"\n"eu","1"\n"us",2'],
    ["tabs", { delimiter: "\t" }, "region\tvalue\neu\t1\n\nus\t2\n"],
    ["semicolons, and commas that mean nothing", { delimiter: ";" }, "region;value;note\neu;1;a,b\nus;2;\n"],
    ["no header line", { columns: ["region", "value"] }, "\ufeffeu,1\nus,2\n"],
    ["other names", { fields: { value: "v", keys: { region: "r" } } }, "v,r\n1,eu\n2,us\n"],
    ["a path", { fields: { path: "p" } }, "p,value\neu,1\nus,2\n"],
    ["one column in two roles", { fields: { keys: { region: "name" } } }, "name,value\neu,1\nus,2\n"],
  ])("may come with %s", async (_, options, text) => {
    const { rows, rejected } = await read(text, { keys: ["region"] }, options);
    expect(rejected).toEqual([]);
    expect(rows).toEqual([
      { keys: ["eu"], value: 1 },
      { keys: ["us"], value: 2 },
    ]);
  });

  test("may use one column as a number and as a key", async () => {
    const { rows } = await read("value\n7\n08\n", { keys: ["value"] });
    expect(rows).toEqual([
      { keys: ["7"], value: 7 },
      { keys: ["08"], value: 8 },
    ]);
  });

  test("may hold quotes, delimiters and line breaks in quoted cells", async () => {
    const { rows, rejected } = await read('region,value\n"a ""b"", c\nd",1\n"",2\n"e\r\n",3\n', { keys: ["region"] });
    expect(rows).toEqual([
      { keys: ['a "b", c\nd'], value: 1 },
      { keys: ["e\r\n"], value: 3 },
    ]);
    expect(rejected).toMatchObject([
      {
        line: 4,
        error: {
          message: 'csv:4: key "region" is null, expected a string, a number or a boolean. Every record needs all keys of the stream',
        },
      },
    ]);
  });

  test("may be frames: a JSON array in the value's cell", async () => {
    const { rows, rejected } = await read('value\n"[1,2,null]"\n"[1,2]"\nx\n"[1,9007199254740993,2]"\n', { frameValues: 3 });
    expect(rows.map(({ value }) => value)).toEqual([[1, 2, Number.NaN]]);
    expect(rejected.map(({ error }) => error.message)).toEqual([
      'csv:3: field "value" has 2 values, expected 3: one frame',
      'csv:4: field "value" is "x", expected an array of 3 numbers',
      expect.stringContaining('csv:5: field "value[1]" is 9007199254740993'),
    ]);
  });
});

test.each<readonly [string, number | string]>([
  ["1", 1],
  ["-1.5e-3", -0.0015],
  ["+.5", 0.5],
  ["5.", 5],
  [" 7 ", 7],
  ["", Number.NaN],
  ["nan", Number.NaN],
  ["-inf", Number.NEGATIVE_INFINITY],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["9007199254740992", 2 ** 53],
  ["9007199254740993.0", 2 ** 53],
  ["9007199254740993", "an integer that float64 does not hold exactly"],
  ["1e999", "beyond float64"],
  ["0x10", "expected a number or null"],
  ["1_000", "expected a number or null"],
  ["1 000", "expected a number or null"],
  ["true", "expected a number or null"],
  ["null", "expected a number or null"],
  ["1,2", "3 cells, expected 2"],
])("a cell %j is a number or a reason", async (cell, expected) => {
  const { rows, rejected } = await read(`value,note\n${cell},x\n`);
  if (typeof expected === "number") expect([rows.map(({ value }) => value), rejected]).toEqual([[expected], []]);
  else expect(rejected).toMatchObject([{ line: 2, error: { code: "ERR_FOURFOLD_RECORD", message: expect.stringContaining(expected) } }]);
});

describe("a record that cannot be taken is rejected, and costs as little as it can", () => {
  const cases: readonly (readonly [string, string, readonly (readonly [number, string])[], readonly number[]])[] = [
    ["a quote inside a cell", 'value,note\n1,5" pipe\n2,b\n', [[2, "a quote in the wrong place, at column 4"]], [2]],
    ["text after a quote", 'value,note\n1,"a"b\n2,b\n', [[2, "a quote in the wrong place, at column 6"]], [2]],
    ["a quote that is never closed", 'value,note\n1,"a\n2,b\n3,c\n', [[2, "a quote that is never closed"]], [2, 3]],
    ["a quote that closes in the wrong place", 'value,note\n1,"a\n2,b\n3,"c"\n4,d\n', [[2, "a quote in the wrong place"]], [2, 3, 4]],
    [
      "two quotes that are never closed",
      'value,note\n1,"a\n2,b\n3,c"d\n4,"e\n5,f\n',
      [
        [2, "wrong place"],
        [4, "wrong place"],
        [5, "never closed"],
      ],
      [2, 5],
    ],
    [
      "too few cells, and too many",
      "value,note\n1\n2,b\n3,c,d\n",
      [
        [2, "1 cells, expected 2"],
        [4, "3 cells, expected 2"],
      ],
      [2],
    ],
    ["a record that is cut off", "value,note\n1,a\n2", [[3, "1 cells, expected 2"]], [1]],
  ];
  test.each(cases)("%s", async (_, text, refused, values) => {
    for (const size of [1, 3, 1000]) {
      const bytes = Buffer.from(text);
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
      const { rows, rejected, chunks } = await readAll(csv(pieces));
      expect(rows.map(({ value }) => value)).toEqual(values);
      expect(rejected.map(({ line }) => line)).toEqual(refused.map(([line]) => line));
      for (const [i, [, message]] of refused.entries()) expect(rejected[i]!.error.message).toContain(message);
      expect(chunks.at(-1)!.next).toBe(bytes.length);
    }
  });

  test("a quote that is not closed within lineBytesMax costs its line", async () => {
    const text = `value,note\n1,"a\n${"2,b\n".repeat(50)}3,c"\n`;
    const { rows, rejected } = await read(text, {}, { lineBytesMax: 100 });
    expect(rows).toHaveLength(50);
    expect(rejected.map(({ line, error }) => [line, error.message.split(":").at(-1)])).toEqual([
      [2, " a quote that is not closed within lineBytesMax 100"],
      [53, " a quote in the wrong place, at column 4"],
    ]);
  });

  test("a line beyond lineBytesMax is rejected, also with a quote open before it", async () => {
    const long = "x".repeat(300);
    const { rows, rejected } = await read(`value,note\n1,a\n2,"b\n3,${long}\n4,d\n5,"${long}"\n6,f\n`, {}, { lineBytesMax: 100 });
    expect(rows.map(({ value }) => value)).toEqual([1, 4, 6]);
    expect(rejected.map(({ line }) => line)).toEqual([3, 4, 6]);
  });

  test("bytes that are not UTF-8", async () => {
    const { rows, rejected } = await read(Buffer.concat([Buffer.from("value,note\n1,"), Buffer.from([0xff]), Buffer.from("\n2,é\n")]));
    expect(rows.map(({ value }) => value)).toEqual([2]);
    expect(rejected).toMatchObject([{ line: 2, from: 11, to: 15 }]);
  });
});

describe("a header that does not fit ends the reading with a typed error", () => {
  test.each<readonly [string, string, CsvOptions]>([
    ["a,b\n1,2\n", 'csv: there is no column "value"; the header has ["a", "b"]', {}],
    ["vaule\n1\n", 'Did you mean "vaule"?', {}],
    ["value,value\n1,2\n", 'two columns are called "value"', {}],
    ['"value\n1\n', "the first line is not a header", {}],
    ['va"lue\n1\n', "the first line is not a header", {}],
    [`${"x".repeat(200)}\n1\n`, "the first line is not a header", { lineBytesMax: 100 }],
  ])("%j", async (text, message, options) => {
    await expect(read(text, {}, options)).rejects.toMatchObject({ code: "ERR_FOURFOLD_COLUMN", message: expect.stringContaining(message) });
  });

  test("an empty source has no records", async () => {
    for (const text of ["", "\n\n", "value\n", "value"]) expect(await read(text)).toMatchObject({ rows: [], rejected: [] });
  });
});

const cell = fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom("", '"', ",", "\n", "\r\n", '""', "é", "x y", "1.5"));
const table = fc.array(fc.tuple(cell, cell, fc.boolean()), { maxLength: 12 });

describe("CSV that another library reads", () => {
  test("comes out the same, however it is cut", async () => {
    await fc.assert(
      fc.asyncProperty(table, fc.array(fc.nat(400), { maxLength: 6 }), fc.integer({ min: 1, max: 4 }), async (lines, cuts, rowsMax) => {
        const quote = (text: string, always: boolean) =>
          always || /[",\r\n]/.test(text) || text === "" ? `"${text.replaceAll('"', '""')}"` : text;
        const bytes = Buffer.from(
          ["a,b,value\n", ...lines.map(([a, b, quoted], i) => `${quote(a, quoted)},${quote(b, quoted)},${i}\n`)].join(""),
        );
        const expected = (parse(bytes, { columns: true, relax_column_count: false }) as Record<string, string>[]).filter(
          ({ a, b }) => a !== "" && b !== "",
        );
        const places = [0, ...cuts.filter((cut) => cut < bytes.length).sort((x, y) => x - y), bytes.length];
        const pieces = places.slice(1).map((to, i) => bytes.subarray(places[i], to));
        const { rows, rejected, chunks } = await readAll(csv(pieces), { keys: ["a", "b"], rowsMax });
        expect(rows).toEqual(expected.map(({ a, b, value }) => ({ keys: [a, b], value: Number(value) })));
        expect(rows.length + rejected.length).toBe(lines.length);
        expect(chunks.every(({ block }) => (block?.rows ?? 0) <= rowsMax)).toBe(true);
        expect(chunks.reduce((sum, chunk) => sum + chunk.bytes, 0)).toBe(bytes.length);
      }),
      { numRuns: RUNS },
    );
  });

  test("anything else ends in records and reasons, the same however it is cut", async () => {
    const piece = fc.constantFrom("1", ",", '"', "\n", "\r\n", "a", '""', '"\n', ",2\n", '"x"');
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 30 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 3 }),
        async (parts, size, rowsMax) => {
          const bytes = Buffer.from(`value,note\n${parts.join("")}`);
          const whole = await read(bytes, {}, { lineBytesMax: 20 });
          const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
          const cut = await readAll(csv(pieces, { lineBytesMax: 20 }), { rowsMax });
          expect(cut.rows).toEqual(whole.rows);
          expect(cut.rejected.map(({ from, to, line, error }) => [from, to, line, error.message])).toEqual(
            whole.rejected.map(({ from, to, line, error }) => [from, to, line, error.message]),
          );
          expect(cut.chunks.at(-1)?.next ?? bytes.length).toBe(bytes.length);
        },
      ),
      { numRuns: RUNS },
    );
  });
});

describe("a file can be read again from every offset that it gave", () => {
  test("with the header it has at its start", async () => {
    const path = join(folder, "again.csv");
    const text = '\ufeff"region",value\n"a\nb",1\nbad\nus,2\n"x,3\n"y",4\nz,5\n';
    writeFileSync(path, text);
    for (const rowsMax of [1, 2, 100]) {
      const reader = csv(path);
      const { chunks, rows, rejected } = await readAll(reader, { keys: ["region"], rowsMax });
      expect(rows.map(({ value }) => value)).toEqual([1, 2, 4, 5]);
      let seen = 0;
      let refused = 0;
      for (const chunk of chunks) {
        seen += chunk.block?.rows ?? 0;
        refused += chunk.rejected.length;
        const rest = await readAll(reader, { keys: ["region"], rowsMax }, chunk.next);
        expect(rest.rows).toEqual(rows.slice(seen));
        expect(rest.rejected.map(({ from, to }) => [from, to])).toEqual(rejected.slice(refused).map(({ from, to }) => [from, to]));
      }
    }
  });

  test("and followed from there", async () => {
    const path = join(folder, "followed.csv");
    writeFileSync(path, "region,value\neu,1\nus,2\n");
    const end = new AbortController();
    const found: Row[] = [];
    for await (const chunk of tail(path, { format: "csv", pollMs: 5 }).read(18, contextOf({ keys: ["region"], signal: end.signal }))) {
      found.push(...rowsOf(chunk.block));
      end.abort();
    }
    expect(found).toEqual([{ keys: ["us"], value: 2 }]);
  });
});

test.each<CsvOptions>([
  { delimiter: ",," },
  { delimiter: '"' },
  { delimiter: "\n" },
  { delimiter: "é" },
  { columns: [] },
  { columns: "a,b" as unknown as string[] },
  { colunms: ["a"] } as CsvOptions,
])("options that cannot be are typed errors: %j", (options) => {
  expect(() => csv([], options)).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_ARGUMENT" }));
});
