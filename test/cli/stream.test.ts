// `fourfold stream` as a process: what goes in, what comes out, and how it ends.
import { appendFileSync, existsSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { tableFromArrays, tableToIPC } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chain, createEngine, type Engine, mean, sum, weightedMean } from "../../src/index.ts";
import { outputOf, ROOT, runChild } from "../child.ts";
import { random } from "../random.ts";
import { BIN, bitsOf, folderOf, fourfold } from "./bin.ts";
import { streamed, streaming } from "./streaming.ts";

const LEVELS = [
  { name: "city", by: ["country", "city"], reduce: "sum" },
  { name: "country", by: ["country"], reduce: "weightedMean", weights: "count" },
  { name: "world", by: [], reduce: "mean" },
];
const spec = (stream: unknown, more: object = {}): string => JSON.stringify({ value: "x", levels: LEVELS, stream, ...more });
const SECONDS = spec({ time: "at", window: { sizeMs: 1000 } });

const folder = folderOf({
  "seconds.json": SECONDS,
  "hundreds.json": spec({ window: { sizeRows: 100 } }),
  "all.json": spec({}),
});
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine();
});
afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
});
const at = (name: string): string => join(folder, name);

interface Row {
  readonly country: string;
  readonly city: string;
  readonly x: number;
  readonly at: number;
}

/** Records in order of time: several countries and cities, values of all sizes, a window of 1 s now and then empty. */
function rows(n: number, seed: number): Row[] {
  const { int, next, pick } = random(seed);
  let time = 0;
  return Array.from({ length: n }, () => {
    time += int(50) === 0 ? 2500 : int(20);
    return { country: pick(["de", "fr", "ñ"]), city: `c${int(4)}`, x: (next() - 0.5) * 2 ** int(45), at: time };
  });
}

const lines = (records: readonly object[]): string => records.map((record) => `${JSON.stringify(record)}\n`).join("");
const csvOf = (records: readonly Row[]): string =>
  `at,city,country,x\r\n${records.map(({ at: time, city, country, x }) => `${time},${city},${country},${x}\r\n`).join("")}`;

interface Line {
  readonly id: string;
  readonly level: string;
  readonly keys: Readonly<Record<string, string>>;
  readonly value: number;
  readonly records: number;
}

const parsed = (text: string): Line[] =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);

/** What the lines must be: a batch run for each window. */
async function expected(records: readonly Row[], windowOf: (row: Row, i: number) => string): Promise<Line[]> {
  const windows = new Map<string, Row[]>();
  for (const [i, row] of records.entries()) windows.set(windowOf(row, i), [...(windows.get(windowOf(row, i)) ?? []), row]);
  const found: Line[] = [];
  const hierarchy = chain({ city: sum(), country: weightedMean("count"), world: mean() });
  for (const [id, own] of windows) {
    const keys = { country: own.map(({ country }) => country), city: own.map(({ city }) => city) };
    const result = await engine.run(hierarchy, { values: own.map(({ x }) => x), keys }, { keep: "all" });
    for (const level of ["city", "country", "world"])
      for (const { path, value, count } of result.level(level)) {
        const named = Object.fromEntries(path.map((key, i) => [["country", "city"][i]!, String(key)]));
        found.push({ id, level, keys: named, value, records: count });
      }
  }
  return found;
}

const plain = (found: readonly Line[]): Line[] => found.map(({ id, level, keys, value, records }) => ({ id, level, keys, value, records }));
const second = ({ at: time }: Row): string => `${Math.floor(time / 1000) * 1000}..${Math.floor(time / 1000) * 1000 + 1000}/0`;

describe("each line is a node with the bits of a batch run over its window", () => {
  const records = rows(3000, 1);

  test("NDJSON from stdin, windows in event time", async () => {
    const output = await outputOf(streamed(["seconds.json", "--keep", "all"], lines(records), folder));
    expect(plain(parsed(output))).toEqual(await expected(records, second));
  });

  test("windows of records", async () => {
    const output = await outputOf(streamed(["hundreds.json", "--keep", "all"], lines(records), folder));
    const hundred = (_: Row, i: number): string => `${i - (i % 100)}..${i - (i % 100) + 100}/0`;
    expect(plain(parsed(output))).toEqual(await expected(records, hundred));
  });

  test("CSV and Arrow in give the same bytes as NDJSON in, from stdin and from files", async () => {
    const column = <K extends keyof Row>(name: K): Row[K][] => records.map((row) => row[name]);
    const arrow = tableToIPC(
      tableFromArrays({ at: column("at"), x: column("x"), country: column("country"), city: column("city") }),
      "stream",
    );
    const output = await outputOf(streamed(["seconds.json"], lines(records), folder));
    writeFileSync(at("r.csv"), csvOf(records));
    writeFileSync(at("r.arrow"), arrow);
    const others = await Promise.all([
      outputOf(streamed(["seconds.json", "--input", "csv"], csvOf(records), folder)),
      outputOf(streamed(["seconds.json", "--input", "arrow"], arrow, folder)),
      outputOf(fourfold(["stream", "seconds.json", "--file", "r.csv"], { cwd: folder })),
      outputOf(fourfold(["stream", "seconds.json", "--file", "r.arrow"], { cwd: folder })),
    ]);
    expect(others).toEqual([output, output, output, output]);
  });

  test("CSV out has a row for each node, Parquet out the same rows", async () => {
    const few = [
      { country: "de", city: "Ulm", x: 1.5, at: 0 },
      { country: "de", city: "Bonn", x: 2, at: 1 },
    ];
    const output = await outputOf(streamed(["seconds.json", "--format", "csv", "--keep", "country,world"], lines(few), folder));
    expect(output.split("\r\n").slice(1, -1)).toEqual([
      "0..1000/0,0,1000,on-time,0,true,,,0,country,de,1.75,2",
      "0..1000/0,0,1000,on-time,0,true,,,0,world,,1.75,2",
    ]);
    await outputOf(streamed(["seconds.json", "--parquet", "parts", "--keep", "country,world"], lines(few), folder));
    expect(existsSync(at("parts/part-000001.parquet"))).toBe(true);
  });

  test("--format table shows the newest result with its bits, and the first nodes of the level below it", async () => {
    const few = lines([
      { country: "de", city: "Ulm", x: 1.5 },
      { country: "fr", city: "Paris", x: 4 },
    ]);
    const output = await outputOf(streamed(["all.json", "--format", "table", "--best", "lowest", "--top", "1"], few, folder));
    expect(output).toMatch(
      /^answer {4}2\.7500000000000000\nbits {6}4006000000000000\nwindow {4}all records, firing 1, on-time, the last\nrows {6}2, [\d,]+ a second\n/,
    );
    expect(output).toMatch(/\n\nlowest countries\n {2}de {2}1\.5000000000000000 {2}1 records\n$/);
  });
});

describe("weights of a spec mean what they mean to fourfold run", () => {
  const { int, next } = random(9);
  const records = Array.from({ length: 400 }, () => {
    const city = int(3);
    return { country: `k${int(3)}`, city: `c${city}`, x: next() - 0.5, w: next(), size: city + 0.1 };
  });
  const SIZES = { sql: "select * from (values ('k0', 0.3), ('k1', 0.7), ('k2', 11)) as t(country, size)" };
  test.each([
    ["of each record", { column: "w" }, "count", [0.25, 0.5, 0.25]],
    ["of a column that is constant below each child", { column: "w" }, { column: "size" }, { table: SIZES, value: "size" }],
  ])("%s", async (_, inner, middle, outer) => {
    const levels = [
      { name: "city", by: ["country", "city"], reduce: "weightedSum", weights: inner },
      { name: "country", by: ["country"], reduce: "weightedMean", weights: middle },
      { name: "world", by: [], reduce: "weightedSum", weights: outer },
    ];
    writeFileSync(at("w.ndjson"), lines(records));
    writeFileSync(at("w.json"), JSON.stringify({ source: { file: "w.ndjson" }, value: "x", levels }));
    const batch = await outputOf(fourfold(["run", "w.json", "--keep", "all", "--format", "csv"], { cwd: folder }));
    const stream = await outputOf(
      fourfold(["stream", "w.json", "--file", "w.ndjson", "--keep", "all", "--format", "csv"], { cwd: folder }),
    );
    const cut = (text: string, columns: number): string[] => text.split("\r\n").map((line) => line.split(",").slice(columns).join(","));
    // A run's rows end with the node's weight, which a stream's have not.
    const unweighed = batch.split("\r\n").map((line) => line.split(",").slice(0, -1).join(","));
    expect(cut(stream, 9).slice(1)).toEqual(unweighed.slice(1));
  });
});

describe("records that cannot be taken never stop it unless asked", () => {
  const poisoned = [
    '{"country":"de","city":"Ulm","x":1,"at":5}',
    "{not json",
    '{"country":"de","x":2,"at":6}',
    '{"country":"de","city":"Ulm","x":"2","at":6}',
    '{"country":"de","city":"Ulm","x":4,"at":"soon"}',
    '{"country":"de","city":"Ulm","x":8,"at":7}',
    '{"country":"de","city":"Bonn","x":16,"at":2000}',
    '{"country":"de","city":"Bonn","x":32,"at":7}',
    "",
  ].join("\n");
  const values = [9, 16];

  test("they are counted, and the first told on stderr", async () => {
    const { code, stdout, stderr } = await streamed(["seconds.json"], poisoned, folder);
    expect([code, parsed(stdout).map(({ value }) => value)]).toEqual([0, values]);
    const told = stderr.split("\n");
    expect(told[0]).toBe("fourfold: records rejected: 4 (--rejected FILE keeps them); the first");
    expect(told.slice(1, 4).map((line) => line.slice(0, 20))).toEqual([
      "fourfold:   stdin:2:",
      "fourfold:   stdin:3:",
      "fourfold:   stdin:4:",
    ]);
    expect(told.slice(4)).toEqual(["fourfold: records too late for every window: 1 (--late FILE keeps them)", ""]);
  });

  test("--rejected and --late keep them with position and reason", async () => {
    const { code, stdout, stderr } = await streamed(
      ["seconds.json", "--rejected", "bad.ndjson", "--late", "late.ndjson"],
      poisoned,
      folder,
    );
    const told = "fourfold: records rejected: 4, in bad.ndjson\nfourfold: records too late for every window: 1, in late.ndjson\n";
    expect([code, stderr, parsed(stdout).map(({ value }) => value)]).toEqual([0, told, values]);
    const letters = readFileSync(at("bad.ndjson"), "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    expect(letters.map(({ source, line, code: why, text }) => [source, line, why, text])).toEqual(
      [2, 3, 4, 5].map((line) => ["stdin", line, "ERR_FOURFOLD_RECORD", poisoned.split("\n")[line - 1]]),
    );
    for (const { from, to, text } of letters) expect(poisoned.slice(from, to)).toBe(`${text}\n`);
    expect(readFileSync(at("late.ndjson"), "utf8")).toMatch(
      /^\{"source":"stdin","keys":\{"country":"de","city":"Bonn"\},"time":7,"value":32,"watermark":(null|2000)\}\n$/,
    );
  });

  test("--on-error stop ends it with one line", async () => {
    const { code, stderr } = await streamed(["seconds.json", "--on-error", "stop"], poisoned, folder);
    expect(stderr).toMatch(/^fourfold: stdin:2: not JSON: .+ \[ERR_FOURFOLD_RECORD\]\n$/);
    expect(code).toBe(1);
  });
});

test("a process killed between checkpoints goes on where it was: the file has each line once, byte for byte", async () => {
  const records = rows(900, 3);
  const [first, rest] = [lines(records.slice(0, 600)), lines(records.slice(600))];
  writeFileSync(at("grows.ndjson"), first);
  // One record at a time, so that the watermark in the lines does not hang on the cuts into batches.
  const options = ["--rows-max", "1", "--keep", "all"];
  const kept = ["--out", "kept.ndjson", "--checkpoint", "state", "--checkpoint-every-ms", "1"];
  const killed = streaming(["seconds.json", "--tail", "grows.ndjson", ...options, ...kept], { cwd: folder });
  const watcher = watch(folder);
  // Lines beyond a checkpoint are in the file, or soon will be: the killing comes at any moment.
  await new Promise<void>((resolve) =>
    watcher.on("change", () => existsSync(at("kept.ndjson")) && readFileSync(at("kept.ndjson")).length > 2000 && resolve()),
  );
  watcher.close();
  killed.child.kill("SIGKILL");
  expect((await killed.ended).signal).toBe("SIGKILL");
  appendFileSync(at("grows.ndjson"), rest);
  await outputOf(fourfold(["stream", "seconds.json", "--file", "grows.ndjson", ...options, ...kept], { cwd: folder }));
  const whole = await outputOf(fourfold(["stream", "seconds.json", "--file", "grows.ndjson", ...options], { cwd: folder }));
  expect(readFileSync(at("kept.ndjson"), "utf8")).toBe(whole);
  expect(plain(parsed(whole))).toEqual(await expected(records, second));
});

describe("it ends when it is told to", () => {
  test("the reader of its output leaves: exit code 0, at once", async () => {
    const { child, until, ended } = streaming(["hundreds.json"], { cwd: folder });
    const endless = lines(rows(1000, 4));
    const feed = (): void => {
      while (child.stdin.writable && child.stdin.write(endless));
    };
    child.stdin.on("drain", feed);
    feed();
    await until(/(.*\n){3}/);
    child.stdout.destroy();
    expect((await ended).code).toBe(0);
  });

  test.each([
    ["SIGINT", 130, "interrupted"],
    ["SIGTERM", 143, "terminated"],
  ] as const)("%s stops the reading, keeps what was written, and says what was open", async (signal, code, word) => {
    writeFileSync(at("tail.ndjson"), lines(rows(150, 5)));
    const { child, until, ended } = streaming(["hundreds.json", "--tail", "tail.ndjson"], { cwd: folder });
    await until(/\n/);
    child.kill(signal);
    const end = await ended;
    expect([end.code, parsed(end.stdout).length]).toEqual([code, 1]);
    expect(end.stderr).toBe(`fourfold: ${word}; windows that were open and gave no last result: 1\n`);
  });

  test("with a checkpoint it says how to go on", async () => {
    writeFileSync(at("tail.ndjson"), lines(rows(150, 5)));
    const { child, until, ended } = streaming(["hundreds.json", "--tail", "tail.ndjson", "--checkpoint", "kept"], { cwd: folder });
    await until(/\n/);
    child.kill("SIGINT");
    expect((await ended).stderr).toBe("fourfold: interrupted; the same command goes on from the checkpoint in kept\n");
  });
});

describe("on a terminal", () => {
  // A terminal of 24 lines of 80, and all that is written to it.
  const PTY = `
import fcntl, os, pty, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    os.write(1, piece)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
  const onTerminal = (args: readonly string[], env: Record<string, string> = {}): Promise<string> =>
    outputOf(
      runChild("python3", ["-c", PTY, process.execPath, BIN, "stream", ...args], {
        cwd: folder,
        env: { NO_COLOR: undefined, TERM: "xterm", ...env },
      }),
    );
  const TABLE = "answer    2.7500000000000000\r\nbits      4006000000000000\r\n";
  const few = lines([
    { country: "de", city: "Ulm", x: 1.5 },
    { country: "fr", city: "Paris", x: 4 },
  ]);

  test("a view is drawn on the second screen and gone at the end; the last table stays", async () => {
    writeFileSync(at("few.ndjson"), few);
    const written = await onTerminal(["all.json", "--file", "few.ndjson"]);
    expect(written.startsWith("\x1b[?1049h\x1b[?25l\x1b[?2026h\x1b[H\x1b[1mall.json")).toBe(true);
    const [, after] = written.split("\x1b[?25h\x1b[?1049l");
    expect(after!.startsWith(TABLE)).toBe(true);
    expect(after).toContain("\r\n\x1b[1mhighest countries\x1b[22m\r\n  fr  4.0000000000000000  1 records\r\n");
    expect(after!.replaceAll("\x1b[1m", "").replaceAll("\x1b[22m", "")).not.toContain("\x1b");
  });

  test("a terminal that can do nothing gets the table, and NO_COLOR no colours", async () => {
    writeFileSync(at("few.ndjson"), few);
    const plainly = await onTerminal(["all.json", "--file", "few.ndjson"], { TERM: "dumb", NO_COLOR: "1" });
    expect(plainly.startsWith(TABLE)).toBe(true);
    expect(plainly).not.toContain("\x1b");
  });

  test.each([
    ["expression", { expression: "qty * price" }],
    ["missing", { column: "w", missing: 0 }],
  ])("weights with %s are for the spec's own source, not for records that stream in", async (part, weights) => {
    const levels = [{ name: "city", by: ["city"], reduce: "weightedSum", weights }];
    writeFileSync(at("computed.json"), JSON.stringify({ value: "x", levels }));
    const { code, stderr } = await streamed(["computed.json"], "", folder);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      new RegExp(
        `^fourfold: computed\\.json:1:\\d+: level "city": records that stream in bring their weights: "${part}" .*\\[ERR_FOURFOLD_SPEC\\]`,
      ),
    );
  });

  test("stdin that is a terminal is refused: nobody types records", async () => {
    const refused = await onTerminal(["all.json"]).catch((error: Error) => error.message);
    expect(refused).toMatch(
      /^the child ended with 2\nfourfold: stream reads records from stdin, which is a terminal\. .+ \[ERR_FOURFOLD_ARGUMENT\]/,
    );
  });
});

describe("the network", () => {
  /** One request on a connection of its own, and all that is answered. */
  const ask = (port: number, text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => socket.end(text));
      let answer = "";
      socket
        .setEncoding("utf8")
        .on("data", (piece: string) => {
          answer += piece;
        })
        .on("end", () => resolve(answer))
        .on("error", reject);
    });
  const request = (line: string, more = "", body = ""): string =>
    `${line} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n${more}\r\n${body}`;

  test("--listen takes records, with a token that is never shown; --metrics serves counts", async () => {
    const token = "a-token-of-some-length";
    writeFileSync(at("token"), `${token}\n`);
    const options = ["--listen", "http://127.0.0.1:0", "--token-file", "token", "--metrics", "0", "--verbose"];
    const { child, until, ended, stderr } = streaming(["hundreds.json", ...options], { cwd: folder });
    const port = Number((await until(/^listening at http:\/\/127\.0\.0\.1:(\d+)\n/, "stderr"))[1]);
    const metrics = Number((await until(/^metrics at http:\/\/127\.0\.0\.1:(\d+)\/metrics\n/m, "stderr"))[1]);
    const body = lines(rows(100, 6));
    const sized = `Content-Type: application/x-ndjson\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
    expect(await ask(port, request("POST /", sized, body))).toMatch(/^HTTP\/1\.1 401/);
    expect(await ask(port, request("POST /", `${sized}Authorization: Bearer ${token}\r\n`, body))).toMatch(/^HTTP\/1\.1 200/);
    await until(/\n/);
    const scraped = await ask(metrics, request("GET /metrics"));
    expect(scraped).toMatch(/^HTTP\/1\.1 200 OK\r\ncontent-type: text\/plain; version=0\.0\.4/i);
    expect(scraped).toMatch(/^fourfold_stream_rows_in_total\{source="http"\} 100$/m);
    expect(scraped).toMatch(/^fourfold_stream_results_total 1$/m);
    expect(await ask(metrics, request("GET /"))).toMatch(/^HTTP\/1\.1 404/);
    expect(await ask(metrics, request("POST /metrics"))).toMatch(/^HTTP\/1\.1 405/);
    child.kill("SIGINT");
    expect((await ended).code).toBe(130);
    expect(stderr()).not.toContain(token);
  });
});

describe("--replay", () => {
  const slice = JSON.parse(readFileSync(join(ROOT, "examples/flights-live.json"), "utf8"));
  const data = join(ROOT, "node_modules/vega-datasets/data");

  test("a slice of the flights, by event time, ends with the bits of fourfold run", async () => {
    slice.source.sql = `${slice.source.sql.replaceAll("../node_modules/vega-datasets/data", data)} where f.date < timestamp '2001-01-03'`;
    writeFileSync(at("slice.json"), JSON.stringify(slice));
    const allowed = ["--allow-path", data];
    const batch = JSON.parse(await outputOf(fourfold(["run", "slice.json", "--format", "json", ...allowed], { cwd: folder })));
    const replayed = await outputOf(fourfold(["stream", "slice.json", "--replay", "max", ...allowed], { cwd: folder }));
    const last = parsed(replayed).at(-1)!;
    expect([bitsOf(last.value), last.records]).toEqual([batch.bits, batch.records]);
    expect(last.records).toBeGreaterThan(10_000);
    const table = await outputOf(
      fourfold(["stream", "slice.json", "--replay", "1000000000", "--format", "table", ...allowed], { cwd: folder }),
    );
    expect(table).toContain(`\nbits      ${batch.bits}\n`);
  });

  test("npm run live and npm start have one hierarchy", () => {
    const [batch, live] = ["flights", "flights-live"].map((name) => JSON.parse(readFileSync(join(ROOT, `examples/${name}.json`), "utf8")));
    const { stream: _stream, ...rest } = live;
    expect(rest).toEqual(batch);
  });
});
