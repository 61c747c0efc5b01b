// What `fourfold stream` cannot do: one line, with its place and the way out, and no result.
import { once } from "node:events";
import { rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { afterAll, describe, expect, test } from "vitest";
import { folderOf } from "./bin.ts";
import { streamed } from "./streaming.ts";

const LEVELS = [
  { name: "city", by: ["country", "city"], reduce: "sum" },
  { name: "country", by: ["country"], reduce: "mean" },
  { name: "world", by: [], reduce: "sum" },
];
const spec = (more: object): string => JSON.stringify({ value: "x", levels: LEVELS, ...more });
const RECORDS = '{"country":"de","city":"Ulm","x":1}\n';
const folder = folderOf({
  "good.json": spec({}),
  "replayed.json": spec({ source: { file: "r.csv" }, stream: { time: "at" } }),
  "untimed.json": spec({ source: { file: "r.csv" } }),
  "misspelt.json": spec({ stream: { time: "at", window: { sizeMS: 1000 } } }),
  "clash.json": `{ "value": "x",\n  "levels": ${JSON.stringify(LEVELS)},\n  "stream": { "time": "at", "window": { "sizeMs": 1000, "sizeRows": 5 } } }`,
  "escape.json": spec({ source: { file: "/etc/passwd", format: "csv" }, stream: { time: "at" } }),
  "r.csv": "when,country,city,x\n1,de,Ulm,1\n",
  "headless.csv": "a,b\n1,2\n",
  "short.token": "short\n",
  "open.json": spec({ stream: { window: { sizeRows: 1 } } }),
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const TOKEN = ["--listen", "http://127.0.0.1:0"];
const REFUSED: readonly (readonly [string, readonly string[], number, string, RegExp])[] = [
  ["no spec", [], 2, "ARGUMENT", /stream needs a spec/],
  ["two specs", ["good.json", "r.ndjson"], 2, "ARGUMENT", /takes one spec.*--file/],
  ["an option with a slip", ["good.json", "--reply", "max"], 2, "ARGUMENT", /Did you mean --replay\?/],
  ["two sources", ["good.json", "--file", "a", "--tail", "b"], 2, "ARGUMENT", /--file and --tail are two sources/],
  ["an input that is not there", ["good.json", "--input", "xml"], 2, "ARGUMENT", /expected ndjson, csv, arrow/],
  ["a speed that is none", ["replayed.json", "--replay", "fast"], 2, "ARGUMENT", /--replay 1000 or --replay max/],
  ["no speed", ["replayed.json", "--replay", "0"], 2, "ARGUMENT", /given "0"/],
  ["a format for a replay", ["replayed.json", "--replay", "max", "--input", "csv"], 2, "ARGUMENT", /Leave --input out/],
  ["a growing file of Arrow", ["good.json", "--tail", "r.arrow"], 2, "ARGUMENT", /--tail follows text/],
  ["a table in a file", ["good.json", "--format", "table", "--out", "t"], 2, "ARGUMENT", /--format table is for people/],
  ["two outputs", ["good.json", "--parquet", "p", "--out", "t"], 2, "ARGUMENT", /--parquet and --out are two outputs/],
  ["a checkpoint of stdin", ["good.json", "--checkpoint", "c"], 2, "ARGUMENT", /stdin cannot.*--tail/],
  ["a checkpoint of the network", ["good.json", "--checkpoint", "c", ...TOKEN], 2, "ARGUMENT", /a network cannot/],
  ["a checkpoint of Arrow", ["good.json", "--checkpoint", "c", "--file", "r.arrow"], 2, "ARGUMENT", /Arrow cannot/],
  ["how often, but not where", ["good.json", "--checkpoint-every-ms", "5"], 2, "ARGUMENT", /needs --checkpoint/],
  ["no rows in a batch", ["good.json", "--rows-max", "0"], 2, "ARGUMENT", /--rows-max: given 0/],
  ["a port beyond the last", ["good.json", "--metrics", "65536"], 2, "ARGUMENT", /expected a port/],
  ["an address that is none", ["good.json", "--listen", "8080"], 2, "ARGUMENT", /--listen http:\/\/127\.0\.0\.1:8080/],
  ["an address with a path", ["good.json", "--listen", "http://127.0.0.1:8080/in"], 2, "ARGUMENT", /expected an address/],
  ["TCP without a port", ["good.json", "--listen", "tcp://127.0.0.1"], 2, "ARGUMENT", /expected an address/],
  ["a key without its certificate", ["good.json", ...TOKEN, "--tls-key", "k"], 2, "ARGUMENT", /--tls-key needs --tls-cert|Give both/],
  ["a key for a file", ["good.json", "--file", "r.csv", "--tls-key", "k"], 2, "ARGUMENT", /--tls-key belongs to --listen/],
  ["a token that is missing", ["good.json", ...TOKEN, "--token-file", "none"], 1, "SOURCE", /--token-file "none" cannot be read/],
  ["a token that can be guessed", ["good.json", ...TOKEN, "--token-file", "short.token"], 2, "ARGUMENT", /16 to 1,?024 ASCII characters/],
  ["an address for all without TLS", ["good.json", "--listen", "tcp://0.0.0.0:0"], 2, "FORBIDDEN", /needs tls and a token/],
  ["a level that is not there", ["good.json", "--keep", "contry"], 2, "LEVEL", /Did you mean country\?/],
  ["a spec that is missing", ["no.json"], 1, "SOURCE", /there is no spec/],
  ["a window with a slip", ["misspelt.json"], 2, "SPEC", /misspelt\.json:1:\d+: .*Did you mean "sizeMs"\?/],
  ["windows in time and in records", ["clash.json"], 2, "ARGUMENT", /clash\.json:3:39: .*sizeMs and sizeRows.*Leave one of them out/],
  ["a replay without a source", ["good.json", "--replay", "max"], 2, "SPEC", /good\.json:1:1: .*"source"/],
  ["a replay without times", ["untimed.json", "--replay", "max"], 2, "SPEC", /untimed\.json:1:1: .*"stream": \{ "time"/],
  ["a replay by a column that is not there", ["replayed.json", "--replay", "max"], 1, "COLUMN", /replayed\.json:1:\d+: .*no column "at"/],
  ["a replay of what a spec may not read", ["escape.json", "--replay", "max"], 2, "FORBIDDEN", /escape\.json:1:\d+: .*--allow-path/],
  ["a file that is missing", ["good.json", "--file", "none.ndjson"], 1, "SOURCE", /none\.ndjson/],
  ["CSV without the columns", ["good.json", "--file", "headless.csv"], 1, "COLUMN", /headless\.csv/],
  ["an output that is a folder", ["open.json", "--out", "."], 1, "OUTPUT", /cannot be written/],
  ["dead letters to no folder", ["good.json", "--rejected", "no/where"], 1, "OUTPUT", /--rejected "no\/where" cannot be written/],
];

describe("what cannot be done is one line on stderr, with its code", () => {
  test.concurrent.each(REFUSED)("%s", async (_, args, exitCode, code, expected) => {
    const { code: ended, stdout, stderr } = await streamed(args, RECORDS, folder);
    const [line, ...rest] = stderr.split("\n").filter((text) => !text.startsWith("listening at "));
    expect(line).toMatch(/^fourfold: .+$/);
    expect(line).toMatch(expected);
    expect(line!.endsWith(` [ERR_FOURFOLD_${code}]`), line).toBe(true);
    expect({ rest, ended, stdout }).toEqual({ rest: [""], ended: exitCode, stdout: "" });
    expect(stderr).not.toContain("short\n");
  });

  test("a port that another has", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const { code, stderr } = await streamed(["good.json", "--metrics", String(port)], RECORDS, folder);
    server.close();
    expect(stderr).toMatch(/^fourfold: --metrics: port \d+ cannot be had: .+ \[ERR_FOURFOLD_ARGUMENT\]\n$/);
    expect(code).toBe(2);
  });
});
