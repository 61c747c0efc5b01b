import { appendFileSync, createReadStream, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { ReadableStream } from "node:stream/web";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FourfoldError } from "../../../src/errors.ts";
import { ndjson } from "../../../src/stream/index.ts";
import type { SourceOptions } from "../../../src/stream/sources/fields.ts";
import type { ReadContext } from "../../../src/stream/types.ts";
import { contextOf, type Row, readAll, scratch } from "./reading.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 300);
const folder = scratch();
const KEYED = { keys: ["region", "site"], timed: true } satisfies Partial<ReadContext>;

const read = (text: string | Uint8Array, changes: Partial<ReadContext> = {}, options: SourceOptions = {}) =>
  readAll(ndjson([typeof text === "string" ? Buffer.from(text) : text], options), changes);

/** The message of the only rejected line. */
async function refusal(line: string | Uint8Array, changes: Partial<ReadContext> = {}, options: SourceOptions = {}): Promise<string> {
  const { rows, rejected } = await read(line, changes, options);
  expect(rows).toEqual([]);
  expect(rejected).toHaveLength(1);
  expect(rejected[0]!.error).toBeInstanceOf(FourfoldError);
  expect(rejected[0]!.error.code).toBe("ERR_FOURFOLD_RECORD");
  return rejected[0]!.error.message;
}

describe("records", () => {
  test("have the fields that the stream asks for; others are not looked at", async () => {
    const line = '{"site":"s1","region":7,"value":2.5,"time":"2024-05-06 07:08","weight":3,"share":0.5,"note":{"deep":[1,{"a":[]}]}}\n';
    const { rows, rejected } = await read(
      line,
      { ...KEYED, weighted: true, childWeights: ["g"] },
      { fields: { childWeights: { g: "share" } } },
    );
    expect(rejected).toEqual([]);
    expect(rows).toEqual([{ keys: [7, "s1"], value: 2.5, time: Date.UTC(2024, 4, 6, 7, 8), weight: 3, childWeights: { g: 0.5 } }]);
  });

  test("take their fields by the names that the caller gives, and times in his unit", async () => {
    const { rows } = await read(
      '{"v":1,"r":"a","s":true,"t":1700000000,"w":null}\n',
      { ...KEYED, weighted: true },
      {
        fields: { value: "v", keys: { region: "r", site: "s" }, time: "t", weight: "w" },
        timeUnit: "s",
      },
    );
    expect(rows).toEqual([{ keys: ["a", true], value: 1, time: 1_700_000_000_000, weight: Number.NaN }]);
  });

  test("may hold their keys as a path, an array or text", async () => {
    const { rows, rejected } = await read(
      '{"value":1,"path":["eu",17]}\n{"value":2,"path":"eu/s17"}\n{"value":3,"path":"eu"}\n{"value":4}\n',
      { keys: ["region", "site"] },
      { fields: { path: "path" } },
    );
    expect(rows.map(({ keys }) => keys)).toEqual([
      ["eu", 17],
      ["eu", "s17"],
    ]);
    expect(rejected.map(({ error }) => error.message)).toEqual([
      'ndjson:3: field "path" is "eu": 1 keys, expected 2',
      'ndjson:4: field "path" is missing, expected 2 keys, outermost first: an array, or text with "/" between them',
    ]);
  });

  test("null is NaN, as the contract has it for missing values", async () => {
    const { rows } = await read('{"value":null}\n{"value":-0}\n');
    expect(rows[0]!.value).toBe(Number.NaN);
    expect(rows[1]!.value).toBe(-0);
  });

  test("may be frames: an array of numbers each", async () => {
    const { rows, rejected, chunks } = await read(
      '{"value":[1,2,3]}\n{"value":[1,2]}\n{"value":[4,null,-0]}\n{"value":[1,"2",3]}\n{"value":5}\n{"value":[1,9007199254740993,3]}\n',
      { frameValues: 3 },
    );
    expect(rows.map(({ value }) => value)).toEqual([
      [1, 2, 3],
      [4, Number.NaN, -0],
    ]);
    expect(chunks[0]!.block).toMatchObject({ rows: 2, data: new Float64Array([1, 2, 3, 4, Number.NaN, -0]) });
    expect(rejected.map(({ error }) => error.message)).toEqual([
      'ndjson:2: field "value" has 2 values, expected 3: one frame',
      'ndjson:4: field "value[1]" is "2", expected a number or null. Write numbers without quotes',
      'ndjson:5: field "value" is 5, expected an array of 3 numbers',
      expect.stringContaining('ndjson:6: field "value[1]" is 9007199254740993, an integer that float64 does not hold exactly'),
    ]);
  });

  test("stand in lines that may end with CR LF, follow a byte order mark, and be empty", async () => {
    const { rows, rejected, chunks } = await read('\ufeff{"value":1}\r\n\r\n \t\n{"value":2} \r\n{"value":3}');
    expect(rows.map(({ value }) => value)).toEqual([1, 2, 3]);
    expect(rejected).toEqual([]);
    expect(chunks.at(-1)!.next).toBe(3 + 13 + 2 + 3 + 14 + 11);
  });
});

describe("a line that cannot be taken is rejected with its place and the reason", () => {
  test.each<readonly [string, string]>([
    [
      '{"value":1',
      "ndjson:1: not JSON: the end of the line at column 11, in a last line without a line break, which may have been cut off",
    ],
    ['{"value":1}}\n', 'ndjson:1: not JSON: "}" at column 12'],
    ['{"value":1},{"value":2}\n', 'ndjson:1: not JSON: "," at column 12'],
    ["{value:1}\n", 'ndjson:1: not JSON: "v" at column 2'],
    ['{"value":01}\n', 'ndjson:1: not JSON: "1" at column 11'],
    ['{"value":NaN}\n', 'ndjson:1: not JSON: "N" at column 10'],
    ['{"value":1,}\n', 'ndjson:1: not JSON: "}" at column 12'],
    ['{"value":"a\u0001b"}\n', 'ndjson:1: not JSON: "\\u0001" at column 12'],
    ['{"value":"\\x"}\n', 'ndjson:1: not JSON: "\\\\" at column 11'],
    ["[1]\n", "ndjson:1: a JSON array, expected an object"],
    ["null\n", "ndjson:1: a JSON null, expected an object"],
    ["12\n", "ndjson:1: a JSON number, expected an object"],
    ["{}\n", 'ndjson:1: field "value" is missing, expected a number or null'],
    ['{"value":"12"}\n', 'ndjson:1: field "value" is "12", expected a number or null. Write numbers without quotes'],
    ['{"value":"twelve"}\n', 'ndjson:1: field "value" is "twelve", expected a number or null'],
    ['{"value":true}\n', 'ndjson:1: field "value" is true, expected a number or null'],
    ['{"value":[1]}\n', 'ndjson:1: field "value" is [1], expected a number or null'],
    ['{"value":1e400}\n', 'ndjson:1: field "value" is beyond float64'],
    [
      '{"value":9007199254740993}\n',
      'ndjson:1: field "value" is 9007199254740993, an integer that float64 does not hold exactly. To accept rounding, write it with a point: 9007199254740993.0',
    ],
    ['{"value":-9007199254740993,"note":"9007199254740992"}\n', 'field "value" is -9007199254740993, an integer'],
    ['{"note":{"value":1},"value":9007199254740992,"value":18014398509481985}\n', 'field "value" is 18014398509481985, an integer'],
    ['{"value":1,"__proto__":{"polluted":1}}\n', 'ndjson:1: a key "__proto__", which no record may have'],
  ])("%s", async (line, message) => expect(await refusal(line)).toContain(message));

  test.each<readonly [string, string]>([
    ['{"value":1,"site":"s","time":1}\n', 'key "region" is missing'],
    ['{"value":1,"region":null,"site":"s","time":1}\n', 'key "region" is null'],
    ['{"value":1,"region":{},"site":"s","time":1}\n', 'key "region" is object with no keys'],
    ['{"value":1,"region":9007199254740993,"site":"s","time":1}\n', "Write large keys as text"],
    ['{"value":1,"region":"r","site":"s"}\n', 'field "time" is missing, expected a time'],
    ['{"value":1,"region":"r","site":"s","time":null}\n', 'field "time" is null, expected a time'],
    ['{"value":1,"region":"r","site":"s","time":"2024-02-30"}\n', 'field "time" is "2024-02-30", expected a time'],
    ['{"value":1,"region":"r","site":"s","time":1e17}\n', 'field "time" is 100000000000000000, expected a time'],
  ])("%s", async (line, message) => expect(await refusal(line, KEYED)).toContain(message));

  test("keys that every object inherits are missing, not there", async () => {
    expect(await refusal('{"value":1}\n', { keys: ["constructor"] })).toContain('key "constructor" is function Object');
    expect(await refusal('{"value":1}\n', {}, { fields: { value: "toString" } })).toContain("expected a number or null");
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test("integers that float64 holds are taken, however long", async () => {
    const { rows, rejected } = await read(
      '{"value":9007199254740992}\n{"value":1e300}\n{"value":36028797018963968}\n{"value":9007199254740993.0}\n',
    );
    expect(rejected).toEqual([]);
    expect(rows.map(({ value }) => value)).toEqual([2 ** 53, 1e300, 2 ** 55, 2 ** 53]);
  });

  test("bytes that are not UTF-8 cost their line only", async () => {
    const { rows, rejected } = await read(
      Buffer.concat([
        Buffer.from('{"value":1}\n{"value":2,"note":"'),
        Buffer.from([0xc3, 0x28]),
        Buffer.from('"}\n{"value":3,"note":"é"}\n'),
      ]),
    );
    expect(rows.map(({ value }) => value)).toEqual([1, 3]);
    expect(rejected).toMatchObject([
      { line: 2, from: 12, to: 36, error: { message: "ndjson:2: bytes that are not UTF-8", at: { file: "ndjson", line: 2 } } },
    ]);
  });

  test("deep nesting is refused or ignored, and takes no stack", async () => {
    const deep = "[".repeat(400_000) + "]".repeat(400_000);
    expect(await refusal(`${deep}\n`)).toContain("a JSON array, expected an object");
    expect(await refusal(`${"[".repeat(400_000)}\n`)).toContain("not JSON: the end of the line");
    expect(await refusal(`{"value":${deep}}\n`)).toContain("expected a number or null");
    expect((await read(`{"value":1,"note":${deep}}\n`)).rows).toHaveLength(1);
  });

  test("a rejected line keeps its first 1,024 characters, and where it stands", async () => {
    const text = `{"value":"${"é".repeat(2000)}"}`;
    const { rejected } = await read(`{"value":1}\n${text}\n`, {}, { name: "sensors" });
    expect(rejected).toMatchObject([
      { source: "sensors", line: 2, from: 12, to: 12 + Buffer.byteLength(text) + 1, text: text.slice(0, 1024) },
    ]);
    expect(rejected[0]!.error.at).toEqual({ file: "sensors", line: 2, column: "value" });
  });

  test("a line beyond lineBytesMax is rejected with its size, wherever it is cut", async () => {
    const long = `{"value":2,"note":"${"x".repeat(500)}"}`;
    const text = Buffer.from(`{"value":1}\n${long}\n{"value":3}\n${long}`);
    for (const size of [1, 7, 100, 512, 4096]) {
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.subarray(i * size, (i + 1) * size));
      const { rows, rejected } = await readAll(ndjson(pieces, { lineBytesMax: 100 }));
      expect(rows.map(({ value }) => value)).toEqual([1, 3]);
      expect(rejected).toMatchObject([
        { line: 2, from: 12, to: 12 + long.length + 1, text: expect.stringMatching(/^\{"value":2/) },
        { line: 4, to: text.length },
      ]);
      expect(rejected[0]!.error.message).toMatch(/^ndjson:2: a line of 52[0-9] bytes, beyond lineBytesMax 100/);
    }
  });

  test("a line of exactly lineBytesMax is taken", async () => {
    for (const pieces of [['{"value":1}\n'], ['{"val', 'ue":1}', "\n"], ['{"value":1}']])
      expect((await readAll(ndjson(pieces, { lineBytesMax: 11 }))).rows).toHaveLength(1);
    expect((await readAll(ndjson(['{"value":1}\n'], { lineBytesMax: 10 }))).rejected).toHaveLength(1);
  });

  test("thousands of bad lines come in chunks of at most 1,024 rejected", async () => {
    const { chunks, rejected } = await read(`${"x\n".repeat(5000)}{"value":1}\n`);
    expect(rejected.map(({ line }) => line)).toEqual(Array.from({ length: 5000 }, (_, i) => i + 1));
    expect(Math.max(...chunks.map((chunk) => chunk.rejected.length))).toBe(1024);
    expect(chunks.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(10_012);
  });
});

/** Lines that are records, or nearly: what is parsed together must come out as if each were parsed alone. */
const nearly = fc.oneof(
  fc
    .record({ value: fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constant(null)), note: fc.string() })
    .map((o) => JSON.stringify(o)),
  fc
    .array(
      fc.constantFrom(
        '{"value":1',
        "}",
        "{",
        "[",
        "]",
        ",",
        '"',
        '"note":',
        '"a"',
        "1",
        ":",
        " ",
        "\\",
        "é",
        "{}",
        '{"value":2}',
        "[{}",
        "{}]",
      ),
      { maxLength: 7 },
    )
    .map((parts) => parts.join("")),
);

/** The oracle: each line by itself, by the language's own parser. */
function alone(line: string): "empty" | "bad" | number {
  if (/^[ \t\r]*$/.test(line)) return "empty";
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return "bad";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "bad";
  const field = (value as Record<string, unknown>)["value"];
  if (field === null) return Number.NaN;
  if (typeof field !== "number") return "bad";
  const digits = /"value":(-?\d+)[,}]/.exec(line)?.[1];
  return digits === undefined || BigInt(digits) === BigInt(field) ? field : "bad";
}

describe("reading many lines together", () => {
  test("gives what each line gives alone", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(nearly, { maxLength: 12 }), async (lines) => {
        const { rows, rejected } = await read(lines.map((line) => `${line}\n`).join(""));
        const expected = lines.map(alone);
        expect(rows.map(({ value }) => value)).toEqual(expected.filter((one) => typeof one === "number"));
        expect(rejected.map(({ line }) => line)).toEqual(expected.flatMap((one, i) => (one === "bad" ? [i + 1] : [])));
      }),
      { numRuns: RUNS * 2 },
    );
  });

  test.each([
    ['{"a":"x}', '{","value":1}'],
    ['{"a":[{}', "{}]}"],
    ['{"a":[1', '2],"value":1}'],
    ['{"value":1', '{"value":1}}'],
    ['{"a":1},{"value":1}', '{"a":[{}', '{}],"value":1}'],
  ])("lines that are JSON only together are none: %j %j", async (...lines) => {
    const { rows, rejected } = await read(lines.map((line) => `${line}\n`).join(""));
    expect(rows).toEqual([]);
    expect(rejected).toHaveLength(lines.length);
  });
});

const text = '{"value":1,"note":"é"}\n\r\nbad\n{"value":9007199254740993}\r\n{"value":2}\n[]\n{"value":null}\n{"value":"€🎈"}\n{"value":4}';

describe("bytes may be cut anywhere", () => {
  test("and give the same records, rejected lines and offsets", async () => {
    const whole = await read(text);
    const bytes = Buffer.from(text);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 20 }), fc.integer({ min: 1, max: 5 }), async (cuts, rowsMax) => {
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const pieces = places.slice(1).map((to, i) => bytes.subarray(places[i], to));
        const parts = await readAll(ndjson(pieces), { rowsMax });
        expect(parts.rows).toEqual(whole.rows);
        expect(parts.rejected).toEqual(whole.rejected);
        expect(parts.chunks.reduce((sum, chunk) => sum + chunk.bytes, 0)).toBe(bytes.length);
        expect(parts.chunks.every((chunk) => (chunk.block?.rows ?? 0) <= rowsMax)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  test("and text between the two halves of a character", async () => {
    const whole = await read(text);
    expect((await readAll(ndjson([...text.split("")]))).rejected).toEqual(whole.rejected);
  });
});

describe("a file can be read again from every offset that it gave", () => {
  test("and goes on exactly there", async () => {
    const path = join(folder, "again.ndjson");
    writeFileSync(path, text);
    for (const rowsMax of [1, 2, 3, 100]) {
      const reader = ndjson(path);
      expect(reader).toMatchObject({ name: path, replayable: true });
      const { chunks, rows, rejected } = await readAll(reader, { rowsMax });
      let seen = 0;
      let refused = 0;
      for (const chunk of chunks) {
        seen += chunk.block?.rows ?? 0;
        refused += chunk.rejected.length;
        const rest = await readAll(reader, { rowsMax }, chunk.next);
        expect(rest.rows).toEqual(rows.slice(seen));
        expect(rest.rejected.map(({ from, to }) => [from, to])).toEqual(rejected.slice(refused).map(({ from, to }) => [from, to]));
      }
      expect(chunks.at(-1)!.next).toBe(Buffer.byteLength(text));
    }
  });

  test("also when it has grown since, but not when it is another file", async () => {
    const path = join(folder, "grown.ndjson");
    writeFileSync(path, '{"value":1}\n{"value":2}');
    const { chunks } = await readAll(ndjson(pathToFileURL(path)));
    expect(chunks.at(-1)!.next).toBe(23);
    appendFileSync(path, '\n{"value":3}\n');
    expect((await readAll(ndjson(path), {}, 23)).rows).toEqual([{ keys: [], value: 3 }]);
    for (const from of [5, 1000]) await expect(readAll(ndjson(path), {}, from)).rejects.toMatchObject({ code: "ERR_FOURFOLD_SOURCE" });
  });
});

describe("input", () => {
  const lines = ['{"value":1}\n{"val', 'ue":2}\n'];
  async function* generated() {
    yield* lines.map((line) => Buffer.from(line));
  }

  test.each<readonly [string, () => Parameters<typeof ndjson>[0]]>([
    [
      "a Readable of bytes",
      () =>
        Readable.from(
          lines.map((line) => Buffer.from(line)),
          { objectMode: false },
        ),
    ],
    ["a Readable of text", () => Readable.from(lines)],
    ["a ReadableStream", () => ReadableStream.from(lines.map((line) => new TextEncoder().encode(line)))],
    ["a response's body", () => new Blob(lines).stream() as ReadableStream<Uint8Array>],
    ["an async generator", generated],
    ["an array", () => lines],
    ["bytes", () => Buffer.from(lines.join(""))],
  ])("may be %s", async (_, input) => {
    const reader = ndjson(input());
    expect(reader).toMatchObject({ name: "ndjson", replayable: false });
    expect((await readAll(reader)).rows.map(({ value }) => value)).toEqual([1, 2]);
    await expect(readAll(reader)).rejects.toMatchObject({
      code: "ERR_FOURFOLD_SOURCE",
      message: expect.stringContaining("can be read only once"),
    });
  });

  test("that cannot be replayed is not read from the middle", async () => {
    await expect(readAll(ndjson(lines), {}, 5)).rejects.toMatchObject({
      code: "ERR_FOURFOLD_SOURCE",
      message: expect.stringContaining("what is past is gone"),
    });
  });

  test("of the process is called stdin", () => expect(ndjson(process.stdin).name).toBe("stdin"));

  test("that fails, ends too early or gives something else is a typed error", async () => {
    const failing = Readable.from(
      (async function* () {
        yield Buffer.from('{"value":1}\n');
        throw new Error("the line went dead");
      })(),
    );
    await expect(readAll(ndjson(failing))).rejects.toMatchObject({
      code: "ERR_FOURFOLD_SOURCE",
      message: "ndjson: failed: the line went dead",
    });
    await expect(readAll(ndjson([1, 2] as unknown as string[]))).rejects.toMatchObject({
      code: "ERR_FOURFOLD_SOURCE",
      message: "ndjson: gave 1, expected bytes or text",
    });
    await expect(readAll(ndjson(createReadStream(join(folder, "none"))))).rejects.toMatchObject({ code: "ERR_FOURFOLD_SOURCE" });
    await expect(readAll(ndjson(join(folder, "none")))).rejects.toMatchObject({ code: "ERR_FOURFOLD_SOURCE" });
    await expect(readAll(ndjson(folder))).rejects.toMatchObject({ code: "ERR_FOURFOLD_SOURCE" });
  });

  test("that never comes is not waited for once the signal is aborted, and what was half there is no record", async () => {
    const abort = new AbortController();
    let returned = false;
    const silent: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => {
        let first = true;
        return {
          next: () => {
            if (!first) return new Promise(() => {});
            first = false;
            return Promise.resolve({ done: false, value: Buffer.from('{"value":1}\n{"value":2}') });
          },
          return: () => {
            returned = true;
            return new Promise(() => {});
          },
        };
      },
    };
    const rows: Row["value"][] = [];
    for await (const chunk of ndjson(silent).read(0, contextOf({ signal: abort.signal }))) {
      rows.push(...chunk.block!.data);
      abort.abort();
    }
    expect(rows).toEqual([1]);
    expect(returned).toBe(true);
  });
});

describe("an input that waits is closed when the signal is aborted", () => {
  const abortWhileWaiting = async (input: Parameters<typeof ndjson>[0]): Promise<void> => {
    const abort = new AbortController();
    const reading = ndjson(input)
      .read(0, contextOf({ signal: abort.signal }))
      [Symbol.asyncIterator]();
    const next = reading.next();
    abort.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  };

  test("a Readable", async () => {
    const input = new PassThrough();
    await abortWhileWaiting(input);
    expect(input.destroyed).toBe(true);
  });

  test("a ReadableStream", async () => {
    let cancelled = false;
    const cancel = () => {
      cancelled = true;
    };
    await abortWhileWaiting(new ReadableStream({ cancel }));
    expect(cancelled).toBe(true);
  });

  test("and when its reader stops by itself", async () => {
    const input = new PassThrough();
    input.write('{"value":1}\n');
    for await (const _ of ndjson(input).read(0, contextOf())) break;
    expect(input.destroyed).toBe(true);
  });
});

describe("options that cannot be are typed errors", () => {
  test.each<readonly [unknown, unknown]>([
    [42, {}],
    [undefined, {}],
    ["", {}],
    ["a\0b", {}],
    [new URL("http://localhost/"), {}],
    [[], { feilds: {} }],
    [[], { name: "" }],
    [[], { timeUnit: "minutes" }],
    [[], { lineBytesMax: 0 }],
    [[], { fields: { values: "v" } }],
    [[], { fields: { value: 1 } }],
    [[], { fields: { keys: ["a"] } }],
    [[], { fields: { keys: { a: "" } } }],
    [[], { fields: { path: "p", keys: {} } }],
  ])("%j %j", (input, options) => {
    expect(() => ndjson(input as string, options as SourceOptions)).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_ARGUMENT" }));
  });

  test("fields that the stream does not have, and levels without a field", async () => {
    await expect(readAll(ndjson([], { fields: { keys: { city: "c" } } }), KEYED)).rejects.toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
    await expect(readAll(ndjson([]), { childWeights: ["g"] })).rejects.toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT", at: { level: "g" } });
  });
});
