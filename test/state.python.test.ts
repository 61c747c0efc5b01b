// docs/state-format.md in another language: python/fourfold_state.py shares no code with src/, and must agree with it on every byte and bit.
import { spawnSync } from "node:child_process";
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chain, createState, decodeState, type Key, max, mean, type State, sum } from "../src/index.ts";
import { ROOT } from "./child.ts";
import { hex } from "./failing.ts";
import { random } from "./random.ts";
import { type Case, caseOf, damaged, deal, distinct, pick } from "./states.ts";

/** Cases of the random tests; the soak asks for more. */
const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 300);

const PROGRAM = join(ROOT, "python/fourfold_state.py");

function python(args: readonly string[], input?: string): { status: number | null; stdout: string; stderr: string } {
  const { error, ...ended } = spawnSync("python3", args, { input, encoding: "utf8", maxBuffer: 1 << 30 });
  if (error) throw new Error(`python3 is needed to read states in Python: ${error.message}. Install Python 3 and put it in PATH.`);
  return ended;
}

interface Answer {
  readonly error?: string;
  readonly again: readonly string[];
  readonly added: readonly boolean[];
  readonly nodes: readonly (readonly [path: readonly string[], value: string | null, items: number])[];
  readonly digest: string;
  readonly signed: string;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

/** What Python says of jobs, each a list of states that it merges. */
function answers(jobs: readonly (readonly Uint8Array[])[]): Answer[] {
  const { status, stdout, stderr } = python(
    [join(ROOT, "test/state.py"), join(ROOT, "python")],
    JSON.stringify(jobs.map((job) => job.map(base64))),
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Answer[];
}

/** States of parts of a case's records, with what they have read; the last one is there twice. */
function parts({ levels, options, records }: Case, seed: number): State[] {
  const r = random(seed);
  const states: State[] = [];
  let from = 0;
  for (const numbers of deal(r, records.values.length, 1 + r.int(4))) {
    const state = createState(chain(...levels), options);
    if (numbers.length > 0) state.add(pick(records, numbers), { source: "s", partition: 0, from, to: from + numbers.length });
    from += numbers.length;
    states.push(state);
  }
  // Not for a user's reduction, whose functions Python has not: two states of one node are not merged there.
  return levels[0]!.kind === "user" ? states.slice(0, 1) : [...states, states.at(-1)!];
}

const told = (key: Key): string => {
  if (key === null) return "None";
  if (typeof key === "number") return hex([key])[0]!;
  if (typeof key === "boolean") return key ? "True" : "False";
  return typeof key === "bigint" ? `${key}n` : key;
};

describe("Python and TypeScript agree", () => {
  test("on bytes written, merged, signed and digested, and on every bit of every node's value (clauses 3, 6–8, 15)", () => {
    const cases = Array.from({ length: RUNS }, (_, seed) => caseOf(seed));
    const jobs = cases.map((given, seed) => parts(given, seed + 7));
    const said = answers(jobs.map((states) => states.map((state) => state.encode())));
    const seen = new Set<string>();
    cases.forEach((given, i) => {
      const { title, levels } = given;
      const states = jobs[i]!;
      const merged = decodeState(states[0]!.encode(), chain(...levels));
      const added = states.slice(1).map((state) => !merged.merge(state).replayed);
      const isUser = levels[0]!.kind === "user";
      const nodes = [...merged.finish({ keep: ["f"] }).level("f")].map(({ path, value, count }) => [
        path.map(told),
        isUser ? null : hex([value])[0],
        count,
      ]);
      const expected = {
        title,
        again: states.map((state) => base64(state.encode())),
        added,
        nodes,
        digest: merged.digest(),
        signed: base64(merged.encode({ hmacKey: "key" })),
      };
      expect({ title, ...said[i] }).toEqual(expected);
      seen.add(`${levels[0]!.name} ${given.options.nan} ${given.options.accuracy}`);
    });
    expect(seen.size).toBeGreaterThan(Math.min(40, RUNS / 10));
  });

  test("on what is no state", () => {
    const r = random(4);
    const cases = Array.from({ length: RUNS }, (_, seed) => caseOf(seed)).filter(({ levels }) => levels[0]!.kind !== "user");
    const given = cases.flatMap((each, i) => {
      const bytes = parts(each, i).at(-1)!.encode();
      return Array.from({ length: 10 }, () => ({ levels: each.levels, bytes: damaged(r, bytes, true) }));
    });
    const said = answers(given.map(({ bytes }) => [bytes]));
    let refused = 0;
    given.forEach(({ levels, bytes }, i) => {
      let error: string | undefined;
      try {
        decodeState(bytes, chain(...levels));
      } catch (problem) {
        error = (problem as Error).message;
      }
      // Python has no chain to compare with.
      if (error?.includes("do not fit")) return;
      if (error !== undefined) refused++;
      expect({ bytes: Buffer.from(bytes).toString("hex"), here: error, refused: said[i]!.error !== undefined }).toMatchObject({
        refused: error !== undefined,
      });
    });
    expect(refused).toBeGreaterThan(given.length / 4);
    expect(refused).toBeLessThan(given.length);
  });
});

describe("python3 fourfold_state.py", () => {
  let folder = "";
  const file = (name: string): string => join(folder, name);
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "fourfold-python-"));
    writeFileSync(file("a.ffst"), part([0.75, -3], 0).encode());
    writeFileSync(file("b.ffst"), part([40], 2).encode());
    writeFileSync(file("signed.ffst"), part([1], 0).encode({ hmacKey: "key" }));
    writeFileSync(file("key"), "key");
    writeFileSync(file("none"), "");
    mkdirSync(file("folder"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const c = chain({ shop: sum(), region: mean() });
  function part(values: number[], from: number): State {
    const state = createState(c, { keys: ["region", "shop"] });
    const shop = values.map((_, i) => `s${from + i}`);
    state.add(
      { values, keys: { region: values.map(() => "north"), shop } },
      { source: "sales", partition: 0, from, to: from + values.length },
    );
    return state;
  }

  test("shows what a state is of, what it has read, and its nodes", () => {
    const { status, stdout } = python([PROGRAM, "show", file("a.ffst")]);
    expect([status, stdout.split("\n").filter((line) => !/^(weights|digest|bytes)/.test(line))]).toEqual([
      0,
      [
        'chain       { shop: sum, region: mean } by "region", "shop" (2, 1)',
        'policy      nan "propagate", accuracy "reproducible", nullKeys "error"',
        'read        "sales", partition 0: [0, 2)',
        "skipped     0",
        "nodes       2",
        '  ("north", "s0")  0.75  of 1',
        '  ("north", "s1")  -3.0  of 1',
        "",
      ],
    ]);
  });

  test("merges files to what TypeScript merges, and drops what is there twice", () => {
    const { status, stderr } = python([PROGRAM, "merge", file("out.ffst"), file("b.ffst"), file("a.ffst"), file("b.ffst")]);
    expect([status, stderr]).toEqual([0, `fourfold_state: ${file("b.ffst")}: all of it was read before, so it was dropped\n`]);
    const merged = part([0.75, -3], 0);
    merged.merge(part([40], 2));
    expect([...readFileSync(file("out.ffst"))]).toEqual([...merged.encode()]);
    expect(python([PROGRAM, "digest", file("out.ffst")]).stdout).toBe(`${merged.digest()}\n`);
  });

  test("reads and writes what is signed, with the key", () => {
    const { status } = python([PROGRAM, "merge", file("again.ffst"), file("signed.ffst"), "--hmac-key-file", file("key")]);
    expect([status, [...readFileSync(file("again.ffst"))]]).toEqual([0, [...readFileSync(file("signed.ffst"))]]);
  });

  test.each<[string, () => string[], number, RegExp]>([
    ["a file that is not there", () => ["show", file("nowhere")], 1, /No such file/],
    ["a folder", () => ["show", file("folder")], 1, /Is a directory/],
    ["what is no state", () => ["digest", file("key")], 1, /key: the bytes are no state/],
    ["a signed state without the key", () => ["show", file("signed.ffst")], 1, /signed, and no key was given/],
    ["another key", () => ["show", file("signed.ffst"), "--hmac-key-file", file("a.ffst")], 1, /signed with another key/],
    ["an empty key", () => ["show", file("signed.ffst"), "--hmac-key-file", file("none")], 1, /the key is empty/],
    ["an unsigned state with a key", () => ["show", file("a.ffst"), "--hmac-key-file", file("key")], 1, /not signed, and a key was given/],
    ["a state that is too large", () => ["show", file("a.ffst"), "--bytes-max", "100"], 1, /at most 100 are read/],
    ["a place that cannot be written", () => ["merge", file("no/where"), file("a.ffst")], 1, /No such file/],
    ["a folder to write to", () => ["merge", file("folder"), file("a.ffst")], 1, /folder: Is a directory\n$/],
    ["a limit of less than nothing", () => ["show", file("a.ffst"), "--bytes-max", "-5"], 2, /expected an integer above 0/],
    ["no command", () => [], 2, /usage/],
    ["a command that is none", () => ["print", file("a.ffst")], 2, /invalid choice/],
  ])("refuses %s in one line", (_, args, code, message) => {
    const { status, stdout, stderr } = python([PROGRAM, ...args()]);
    expect([status, stdout, stderr]).toEqual([code, "", expect.stringMatching(message)]);
    expect(stderr).not.toContain("Traceback");
    if (code === 1) expect(stderr.trimEnd().split("\n").length).toBe(1);
  });

  test("writes to what a link names, and into a pipe, and replaces neither", () => {
    writeFileSync(file("target.ffst"), "before");
    symlinkSync(file("target.ffst"), file("link.ffst"));
    expect(python([PROGRAM, "merge", file("link.ffst"), file("a.ffst")]).status).toBe(0);
    expect(lstatSync(file("link.ffst")).isSymbolicLink()).toBe(true);
    expect(readFileSync(file("target.ffst"))).toEqual(readFileSync(file("a.ffst")));
    const pipe = spawnSync("sh", [
      "-c",
      `mkfifo "$1" && { cat "$1" >"$2" & python3 "$3" merge "$1" "$4"; wait; }`,
      "sh",
      file("pipe"),
      file("piped"),
      PROGRAM,
      file("a.ffst"),
    ]);
    expect(pipe.status).toBe(0);
    expect(lstatSync(file("pipe")).isFIFO()).toBe(true);
    expect(readFileSync(file("piped"))).toEqual(readFileSync(file("a.ffst")));
  });

  test("refuses states that do not fit, or overlap, and leaves what was there", () => {
    const other = createState(chain({ shop: max(), region: mean() }), { keys: ["region", "shop"] });
    writeFileSync(file("other.ffst"), other.encode());
    writeFileSync(file("overlap.ffst"), part([1, 2], 1).encode());
    const silent = createState(c, { keys: ["region", "shop"] });
    silent.add({ values: [1], keys: { region: ["north"], shop: ["s9"] } });
    writeFileSync(file("silent.ffst"), silent.encode());
    writeFileSync(file("kept.ffst"), "kept");
    for (const [name, message] of [
      ["silent.ffst", "only one of them says what it has read"],
      ["other.ffst", "the chain here is { shop: sum, region: mean }"],
      ["overlap.ffst", 'source "sales", partition 0: [1, 3) overlaps with [0, 2), which was read before'],
    ] as const) {
      const { status, stderr } = python([PROGRAM, "merge", file("kept.ffst"), file("a.ffst"), file(name)]);
      expect([status, stderr]).toEqual([1, expect.stringContaining(message)]);
      expect(readFileSync(file("kept.ffst"), "utf8")).toBe("kept");
    }
  });

  test("says that a user's reduction needs its own functions", () => {
    const state = createState(chain(distinct()));
    state.add({ values: [1, 2, 2] });
    writeFileSync(file("user.ffst"), state.encode());
    expect(python([PROGRAM, "show", file("user.ffst")]).stdout).toContain("  ()  ?  of 3");
    const { status, stderr } = python([PROGRAM, "merge", file("x"), file("user.ffst"), file("user.ffst")]);
    expect([status, stderr]).toEqual([1, expect.stringContaining('merging needs the functions of reduction "distinct"')]);
  });
});
