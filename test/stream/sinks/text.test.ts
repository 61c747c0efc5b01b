// Lines read back to the bits that were written, a file goes back to where a checkpoint left it, a Writable sets the pace.
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { callbackSink } from "../../../src/stream/sinks/callback.ts";
import { csvSink } from "../../../src/stream/sinks/csv.ts";
import { ndjsonSink } from "../../../src/stream/sinks/ndjson.ts";
import type { Sink, SinkContext, SinkPosition, StreamResult } from "../../../src/stream/types.ts";
import { failing, hex } from "../../failing.ts";
import { random } from "../../random.ts";
import { CONTEXT, frame, pane } from "./results.ts";

const root = mkdtempSync(join(tmpdir(), "fourfold-sinks-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let files = 0;
const fresh = (): string => join(root, `file ${files++}`);
const textOf = (file: string): string => readFileSync(file, "utf8");

const one = (value: number, region: string | null = "eu"): StreamResult => pane({ region: [[[region], [value], 3]] });
const LINE =
  '{"id":"0..60000/0","start":0,"end":60000,"timing":"on-time","pane":0,"isLast":true,"frame":null,"watermark":60000,"weightsVersion":2,"level":"region","keys":{"region":"eu"},"value":0.1,"records":3}\n';
const HEADER = "id,start,end,timing,pane,isLast,frame,watermark,weightsVersion,level,region,value,records\r\n";
const ROW = "0..60000/0,0,60000,on-time,0,true,,60000,2,region,eu,0.1,3\r\n";

/** What a sink makes of results, from its opening to its closing. */
async function written(make: (file: string) => Sink, results: readonly StreamResult[], context: SinkContext = CONTEXT): Promise<string> {
  const file = fresh();
  const sink = make(file);
  await sink.open!(undefined, context);
  await sink.write(results);
  await sink.close!();
  return textOf(file);
}

describe("lines", () => {
  test("of NDJSON say which result, which node, and its value", async () => {
    expect(await written(ndjsonSink, [one(0.1)])).toBe(LINE);
  });

  test("of CSV say the same under a header", async () => {
    expect(await written(csvSink, [one(0.1)])).toBe(HEADER + ROW);
    expect(await written(csvSink, [])).toBe(HEADER);
    expect(await written(ndjsonSink, [])).toBe("");
  });

  test("are of the outermost level, of all that are kept, or of those that are named; any other is refused at the start", async () => {
    const result = pane({ site: [[["eu", 7], [1], 2]], region: [[["eu"], [1], 2]] });
    const levels = async (wanted?: "all" | string[]): Promise<string[]> =>
      (await written((file) => ndjsonSink(file, wanted ? { levels: wanted } : {}), [result]))
        .split("\n")
        .slice(0, -1)
        .map((line) => `${JSON.parse(line).level} ${JSON.stringify(JSON.parse(line).keys)}`);
    const [site, region] = ['site {"region":"eu","site":7}', 'region {"region":"eu"}'];
    expect(await levels()).toEqual([region]);
    expect(await levels("all")).toEqual([site, region]);
    expect(await levels(["site"])).toEqual([site]);
    const file = fresh();
    expect(await failing(() => ndjsonSink(file, { levels: ["sites"] }).open!(undefined, CONTEXT))).toMatchObject({
      code: "ERR_FOURFOLD_LEVEL",
      fix: 'Did you mean "site"?',
    });
  });

  test("of CSV for levels inside have more keys; cells that a level has not are empty", async () => {
    const result = pane({ site: [[["eu", null], [1], 2]], region: [[["eu"], [1], 2]] });
    const text = await written((file) => csvSink(file, { levels: "all" }), [result]);
    const rows = text.split("\r\n").map((line) => line.split(",").slice(9).join(","));
    expect(rows).toEqual(["level,region,site,value,records", "site,eu,,1,2", "region,eu,,1,2", ""]);
  });

  test("of frames and of windows without an end have nulls and empty cells", async () => {
    const context = { levels: [{ name: "k", keys: [], outputs: 2 }] };
    expect(JSON.parse(await written(ndjsonSink, [frame(4, [1, -0])], context))).toEqual({
      ...{ id: "frame 4", start: null, end: null, timing: null, pane: null, isLast: null, frame: 4, watermark: null, weightsVersion: 2 },
      ...{ level: "k", keys: {}, value: null, values: [1, -0], records: 1 },
    });
    expect((await written(csvSink, [frame(4, [1, -0])], context)).split("\r\n")[1]).toBe("frame 4,,,,,,4,,2,k,1,-0.0,1");
    const whole = { ...one(1), pane: { ...one(1).pane!, start: Number.NEGATIVE_INFINITY, end: Number.POSITIVE_INFINITY } };
    expect(JSON.parse(await written(ndjsonSink, [whole]))).toMatchObject({ start: null, end: null });
  });

  test("keep keys of every kind, and names that are columns already", async () => {
    const context = { levels: [{ name: "l", keys: ["id", "b"], outputs: 1 }] };
    const result = pane({
      l: [
        [[2n ** 70n, true], [1], 1],
        [[-0, Number.POSITIVE_INFINITY], [1], 1],
      ],
    });
    const lines = (await written(ndjsonSink, [result], context)).split("\n");
    expect(lines[0]).toContain('"keys":{"id":"1180591620717411303424","b":true}');
    expect(lines[1]).toContain('"keys":{"id":-0.0,"b":"Infinity"}');
    const rows = (await written(csvSink, [result], context)).split("\r\n").map((line) => line.split(",").slice(10, 12));
    expect(rows.slice(0, 3)).toEqual([
      ["key id", "b"],
      ["1180591620717411303424", "true"],
      ["-0.0", "Infinity"],
    ]);
  });

  test.each(["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])("of CSV keep a spreadsheet from running the text %j", async (text) => {
    const cell = (await written(csvSink, [one(1, text)])).slice(HEADER.length).split(",region,")[1]!;
    expect(cell.replace(/^"/, "").startsWith(`'${text}`)).toBe(true);
  });

  test("read back to the same bits and texts with Python's json and csv", async () => {
    const { numbers, int } = random(6);
    const values = [...numbers(300, "cancelling"), ...numbers(100, "specials"), 2 ** 53 + 2, 1e21, 1e-7, 5e-324];
    const texts = ['a"b', "a,b", "a\nb", "a\r\nb", "", "é\u2028", "' quoted", "\\", "\u0000"];
    const results = values.map((value, i) => one(value, i % 2 === 0 ? texts[int(texts.length)]! : `t${i}`));
    const keys = results.map((result) => [...result.level("region")][0]!.path[0]);
    const script = `
import csv, json, struct, sys, io
bits = lambda v: struct.pack(">d", float("nan") if v != v else v).hex()
kind, file = sys.argv[1:]
text = open(file, newline="", encoding="utf8").read()
if kind == "json": rows = [(lambda r: (r["value"], r["keys"]["region"]))(json.loads(line)) for line in text.split("\\n")[:-1]]
else: rows = [(row["value"], row["region"]) for row in csv.DictReader(io.StringIO(text, newline=""))]
print(json.dumps([[bits(float(value)), key] for value, key in rows]))`;
    for (const [kind, make] of [
      ["json", ndjsonSink],
      ["csv", csvSink],
    ] as const) {
      const file = fresh();
      const sink = make(file);
      await sink.open!(undefined, CONTEXT);
      await sink.write(results);
      await sink.close!();
      const { stdout, stderr } = spawnSync("python3", ["-c", script, kind, file], { encoding: "utf8" });
      expect(stderr).toBe("");
      expect(JSON.parse(stdout)).toEqual(hex(values).map((bits, i) => [bits, keys[i]]));
    }
  });
});

describe("a file", () => {
  const kinds = [
    ["NDJSON", ndjsonSink, "", LINE],
    ["CSV", csvSink, HEADER, ROW],
  ] as const;

  test.each(kinds)("of %s that goes on from a position drops what was written after it", async (_, make, header, line) => {
    const file = fresh();
    const first = make(file);
    await first.open!(undefined, CONTEXT);
    const start = await first.flush!();
    await first.write([one(0.1), one(0.1)]);
    const middle = await first.flush!();
    await first.write([one(5), one(6)]);
    await first.close!();
    for (const [position, lines] of [
      [middle, 2],
      [start, 0],
    ] as const) {
      const next = make(pathToFileURL(file));
      await next.open!(JSON.parse(JSON.stringify(position)) as SinkPosition, CONTEXT);
      expect(textOf(file)).toBe(header + line.repeat(lines));
      await next.write([one(0.1)]);
      await next.close!();
      expect(textOf(file)).toBe(header + line.repeat(lines + 1));
    }
  });

  test.each(kinds)("of %s without a position is appended to", async (_, make, header, line) => {
    const file = fresh();
    for (let run = 1; run <= 3; run++) {
      const sink = make(file);
      await sink.open!(undefined, CONTEXT);
      await sink.write([one(0.1)]);
      await sink.close!();
      expect(textOf(file)).toBe(header + line.repeat(run));
    }
  });

  test.each(kinds)("of %s that lost, or has other bytes before its position is refused and left alone", async (_, make, __, line) => {
    const file = fresh();
    const first = make(file);
    await first.open!(undefined, CONTEXT);
    await first.write(Array.from({ length: 100 }, () => one(0.1)));
    const position = await first.flush!();
    await first.close!();
    const whole = textOf(file);
    const changed = Buffer.from(whole);
    changed[changed.length - line.length]! ^= 1;
    for (const bytes of [whole.slice(0, -1), changed, ""]) {
      writeFileSync(file, bytes);
      const error = await failing(() => make(file).open!(position, CONTEXT));
      expect(error).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT", at: { file } });
      expect(readFileSync(file).equals(Buffer.from(bytes))).toBe(true);
    }
    writeFileSync(file, `${whole}more`);
    const again = make(file);
    await again.open!(position, CONTEXT);
    await again.close!();
    expect(textOf(file)).toBe(whole);
  });

  test("is refused if it ends inside a line, or begins with another header", async () => {
    const file = fresh();
    writeFileSync(file, LINE.slice(0, -1));
    expect(await failing(() => ndjsonSink(file).open!(undefined, CONTEXT))).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT" });
    writeFileSync(file, HEADER + ROW);
    const error = await failing(() => csvSink(file, { levels: "all" }).open!(undefined, CONTEXT));
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT", message: expect.stringContaining("header") });
    expect(textOf(file)).toBe(HEADER + ROW);
  });

  test("is refused with a checkpoint of another sink", async () => {
    const file = fresh();
    const sink = ndjsonSink(file);
    await sink.open!(undefined, CONTEXT);
    const position = await sink.flush!();
    await sink.close!();
    for (const other of [position, {}, { sink: "csv", bytes: "many" }])
      expect(await failing(() => csvSink(fresh()).open!(other, CONTEXT))).toMatchObject({
        code: "ERR_FOURFOLD_OUTPUT",
        message: expect.stringContaining("another sink"),
      });
  });

  test("that another program writes to is noticed at the next flush", async () => {
    const file = fresh();
    const sink = ndjsonSink(file);
    await sink.open!(undefined, CONTEXT);
    await sink.write([one(1)]);
    appendFileSync(file, "x");
    const error = await failing(() => sink.flush!());
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT" });
    expect(await failing(() => sink.write([one(1)]))).toBe(error);
    await sink.close!();
  });

  test("is flushed when it is closed, and its position stays the same while nothing is written", async () => {
    const file = fresh();
    const sink = ndjsonSink(file);
    await sink.open!(undefined, CONTEXT);
    await sink.write([one(0.1)]);
    const position = await sink.flush!();
    expect(await sink.flush!()).toEqual(position);
    expect(position).toMatchObject({ bytes: LINE.length });
    await sink.close!();
    truncateSync(file, 0);
    await sink.close!(); // a second time does nothing
  });

  test.each([
    ["a folder", "."],
    ["a file in a missing folder", "none/a"],
    ["a device", "/dev/null"],
  ])("%s is refused at the start", async (_, name) => {
    const file = name.startsWith("/") ? name : join(root, name);
    expect(await failing(() => ndjsonSink(file).open!(undefined, CONTEXT))).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT", at: { file } });
  });

  test("written to before it is opened is an error", async () => {
    expect(await failing(() => ndjsonSink(fresh()).write([one(1)]))).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT" });
  });

  test.each([
    ["no path", () => ndjsonSink(7 as never)],
    ["an empty path", () => csvSink("")],
    ["a URL of no file", () => csvSink(new URL("https://example.org/a.csv"))],
    ["an unknown option", () => csvSink("a", { level: "x" } as never)],
    ["levels that are no list", () => csvSink("a", { levels: "site" as never })],
    ["a callback that is none", () => callbackSink(1 as never)],
  ])("%s is refused", async (_, make) => {
    expect(await failing(make)).toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
  });
});

describe("a Writable", () => {
  test("gets the same text, and is not ended", async () => {
    let text = "";
    const to = new Writable({
      write(chunk, _, done) {
        text += chunk;
        done();
      },
    });
    const sink = csvSink(to);
    await sink.open!(undefined, CONTEXT);
    await sink.write([one(0.1)]);
    await sink.close!();
    expect(text).toBe(HEADER + ROW);
    expect(to.writableEnded).toBe(false);
    expect([to.listenerCount("error"), to.listenerCount("drain")]).toEqual([0, 0]);
  });

  test("that is slow makes the stream wait: no more than its own buffer and one piece lie before it", async () => {
    const waiting: (() => void)[] = [];
    let most = 0;
    const to: Writable = new Writable({
      highWaterMark: 1 << 16,
      write(_, __, done) {
        most = Math.max(most, to.writableLength);
        waiting.push(done);
      },
    });
    const sink = ndjsonSink(to);
    await sink.open!(undefined, CONTEXT);
    let done = false;
    const writing = Promise.resolve(sink.write(Array.from({ length: 5_000 }, () => one(0.1)))).then(() => {
      done = true;
    });
    while (!done) {
      waiting.shift()?.();
      await new Promise(setImmediate);
    }
    await writing;
    const closing = sink.close!();
    for (let closed = false; !closed; ) {
      waiting.shift()?.();
      closed = await Promise.race([closing.then(() => true), new Promise<boolean>((resolve) => setImmediate(resolve, false))]);
    }
    expect(most).toBeLessThan(2 * (1 << 16) + 2 * LINE.length);
  });

  test("whose reader is gone ends the stream with an error that says so", async () => {
    const to = new Writable({
      write(_, __, done) {
        done(Object.assign(new Error("write EPIPE"), { code: "EPIPE", syscall: "write" }));
      },
    });
    const sink = ndjsonSink(to);
    await sink.open!(undefined, CONTEXT);
    const error = await failing(async () => {
      await sink.write([one(1)]);
      await sink.close!();
    });
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT", message: expect.stringContaining("its reader is gone") });
  });

  test("is flushed when it has taken all: a checkpoint must not count lines in its buffer as written", async () => {
    const waiting: (() => void)[] = [];
    const to = new Writable({ write: (_, __, done) => void waiting.push(done) });
    const sink = ndjsonSink(to);
    await sink.open!(undefined, CONTEXT);
    await sink.write([one(1)]);
    let flushed = false;
    const flushing = sink.flush!().then(() => {
      flushed = true;
    });
    await new Promise(setImmediate);
    expect(flushed).toBe(false);
    waiting.shift()!();
    await flushing;
    await sink.close!();
  });

  test("that is destroyed while the stream waits for room ends it, and closing throws no second time", async () => {
    const to = new Writable({ highWaterMark: 1, write() {} });
    const sink = ndjsonSink(to);
    await sink.open!(undefined, CONTEXT);
    const writing = failing(() => sink.write([one(1)]));
    to.destroy();
    expect(await writing).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT", message: expect.stringContaining("it has ended") });
    await sink.close!();
  });

  test("that has ended is refused at the start", async () => {
    const to = new Writable({ write: (_, __, done) => done() });
    to.end();
    expect(await failing(() => ndjsonSink(to).open!(undefined, CONTEXT))).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT" });
  });
});

describe("a callback", () => {
  test("gets one result after the other, and the stream waits for it", async () => {
    const seen: string[] = [];
    const sink = callbackSink(async ({ id }) => {
      seen.push(`${id} comes`);
      await Promise.resolve();
      seen.push(`${id} goes`);
    });
    await sink.write([frame(1, [1]), frame(2, [1])]);
    expect(seen).toEqual(["frame 1 comes", "frame 1 goes", "frame 2 comes", "frame 2 goes"]);
  });

  test("that throws ends the stream with the result's id and the cause", async () => {
    const cause = new Error("no room\nat the inn");
    const sink = callbackSink(() => Promise.reject(cause));
    const error = await failing(() => sink.write([frame(1, [1])]));
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT", given: "frame 1", cause });
    expect(error.message).not.toContain("\n");
  });
});
