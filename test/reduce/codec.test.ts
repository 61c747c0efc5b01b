// Contract clause 15: states as bytes. What is no state is refused, whatever it is; docs/state-format.md is what is written.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { State } from "../../src/index.ts";
import { chain, createState, decodeState, type FourfoldError, mean, sum } from "../../src/index.ts";
import { ROOT } from "../child.ts";
import { failing } from "../failing.ts";
import { random } from "../random.ts";
import { caseOf, damaged, mergedState, positionedState, stamped } from "../states.ts";

/** Damaged states; the soak asks for more. */
const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 10_000);

const shops = chain({ shop: sum(), region: mean() });

function example(): State {
  const state = createState(shops, { keys: ["region", "shop"] });
  const keys = { region: ["north", "north", "south"], shop: ["a", "b", "a"] };
  state.add({ values: [0.75, -3, 40], keys }, { source: "sales", partition: 3, from: 120, to: 123 });
  return state;
}

test("the example of docs/state-format.md is what is written, byte by byte", () => {
  const page = readFileSync(join(ROOT, "docs/state-format.md"), "utf8");
  const [, dump] = /```text\n([^`]+)```/.exec(page.slice(page.indexOf("\n## Example")))!;
  const bytes = dump!.split("\n").map((line) => /^(?:[0-9a-f]{2}(?: |$))*/.exec(line)![0].replaceAll(" ", ""));
  expect(Buffer.from(example().encode()).toString("hex")).toBe(bytes.join(""));
  expect(page).toContain(`digest is \`${example().digest()}\``);
});

/** Reads bytes as the codec must: a state whose bytes these are, or the error that says why not. Anything else ends the test. */
function outcome(bytes: Uint8Array, levels: Parameters<typeof chain>): string {
  try {
    const state = decodeState(bytes, chain(...levels));
    expect(state.encode()).toEqual(bytes);
    return "a state";
  } catch (error) {
    if ((error as FourfoldError).code === "ERR_FOURFOLD_STATE") return (error as Error).message.replace(/[\d[\]"]+|byte.*/g, "");
    throw error;
  }
}

describe("bytes that are no state", () => {
  test("are refused with ERR_FOURFOLD_STATE, or are another state's: never a crash, never much memory", () => {
    const r = random(99);
    const before = process.memoryUsage().arrayBuffers;
    const outcomes = new Map<string, number>();
    const states = Array.from({ length: 60 }, (_, seed) => {
      const given = caseOf(seed);
      return { levels: given.levels, bytes: (seed % 2 ? positionedState : mergedState)(random(seed), given).encode() };
    });
    for (let k = 0; k < RUNS; k++) {
      const { levels, bytes } = states[k % states.length]!;
      const told = outcome(damaged(r, bytes, k % 2 === 0), levels as never);
      outcomes.set(told, (outcomes.get(told) ?? 0) + 1);
    }
    // The parser is reached, and says many things.
    expect(outcomes.size).toBeGreaterThan(25);
    expect(outcomes.get("a state")).toBeGreaterThan(RUNS / 100);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 27);
  });

  test("are refused wherever they are cut", () => {
    for (const options of [{}, { hmacKey: "key" }]) {
      const bytes = example().encode(options);
      for (let length = 0; length < bytes.length; length++)
        for (const cut of [bytes.slice(0, length), stamped(bytes.slice(0, length))]) {
          // The example without its signature, or stamped where its checksum was, is whole.
          if (length === bytes.length - 4 && !("hmacKey" in options)) continue;
          let code = "";
          try {
            decodeState(cut, shops, options);
          } catch (error) {
            ({ code } = error as FourfoldError);
          }
          expect({ length, code }).toEqual({ length, code: "ERR_FOURFOLD_STATE" });
        }
    }
  });

  test("are told by what is wrong with them", async () => {
    const bytes = example().encode();
    const value = bytes.slice(0, -4);
    const changed = (at: number, byte: number): Uint8Array => stamped(value.map((b, i) => (i === at ? byte : b)));
    const contract = stamped(Uint8Array.of(...value.slice(0, 7), 0x32, ...value.slice(8)));
    for (const [what, given, message] of [
      ["nothing", new Uint8Array(0), "do not start with FFST"],
      ["a picture", Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 0, 0, 0, 0, 0), "do not start with FFST"],
      ["a later format", changed(4, 2), "format version 2, this package reads 1"],
      ["flags that are not known", changed(5, 2), "the flags 2"],
      ["a signature that is not there", stamped(Uint8Array.of(...value.slice(0, 5), 1, 0)), "ends early"],
      ["another contract", contract, 'version "2" of the numeric contract'],
      ["a flipped bit", bytes.map((b, i) => (i === 150 ? b ^ 1 : b)), "the state is damaged: its checksum is"],
      ["a changed policy", changed(135, 1), "a hash of chain or policy that is not theirs"],
      ["a changed hash", changed(10, 1), "a hash of chain or policy that is not theirs"],
      ["bytes too many", stamped(Uint8Array.of(...value, 0)), "1 bytes too many"],
    ] as const)
      expect({ what, message: (await failing(() => decodeState(given, shops))).message }).toEqual({
        what,
        message: expect.stringContaining(message),
      });
  });

  test("that say of themselves what cannot be are refused before they are believed", async () => {
    const bytes = example().encode();
    const { chainAt, policyAt, valueAt } = { chainAt: 104, policyAt: 135, valueAt: 138 };
    expect([bytes[chainAt], bytes[policyAt + 3]]).toEqual([30, 0]);
    /** The example with another value, or another chain or policy whose hashes fit. */
    const made = (value: readonly number[], chainBytes = [...bytes.slice(105, 135)], policy = [0, 0, 0]): Uint8Array => {
      const sha = (part: readonly number[]) => createHash("sha256").update(Uint8Array.from(part)).digest();
      const header = [...bytes.slice(0, 8), ...sha(chainBytes), ...bytes.slice(40, 72), ...sha(policy)];
      return stamped(Uint8Array.from([...header, chainBytes.length, ...chainBytes, ...policy, ...value]));
    };
    const huge = [255, 255, 255, 255, 255, 255, 255, 15];
    const [a, b] = [
      [6, 1, 97],
      [6, 1, 98],
    ] as const; // the keys "a" and "b"
    const node = [0, 0, 0, 0, 0];
    const levels = [2, 4, 115, 104, 111, 112, 0, 6, 114, 101, 103, 105, 111, 110, 2];
    expect(made([...bytes.slice(valueAt, -4)])).toEqual(bytes);
    for (const [what, given, message] of [
      ["2^53 keys", made([0, ...huge]), "entries announced"],
      ["2^53 nodes", made([0, 0, 0, ...huge]), "entries announced"],
      ["a key of 2^53 bytes", made([0, 1, 6, ...huge]), "bytes announced"],
      ["keys that are not sorted", made([0, 2, ...b, ...a]), "keys that are not sorted"],
      ["a key that is there twice", made([0, 2, ...a, ...a]), "keys that are not sorted"],
      ["2 as number and as integer", made([0, 2, 3, 0, 0, 0, 0, 0, 0, 0, 64, 4, 1, 2]), "keys that are not sorted"],
      ["a key −0", made([0, 1, 3, 0, 0, 0, 0, 0, 0, 0, 128]), "NaN or −0"],
      ["a key NaN", made([0, 1, 3, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]), "NaN or −0"],
      ["a key −0n", made([0, 1, 5, 0]), "not in its shortest form"],
      ["an integer key with a leading zero byte", made([0, 1, 4, 2, 1, 0]), "not in its shortest form"],
      ["an integer key of 1,025 bytes", made([0, 1, 4, 0x81, 8, ...Array.from({ length: 1025 }, () => 1)]), "more than 1024 bytes"],
      ["a key of no kind", made([0, 1, 7]), "a key of the kind 7"],
      ["a key of no node", made([0, 1, ...a, 0, 0, 0]), "keys of no node"],
      ["a node of no key", made([0, 1, ...a, 1, ...b, 1, 0, 1, ...node]), "a node with key 1 of 1"],
      ["nodes that are not sorted", made([0, 1, ...a, 2, ...a, ...b, 2, 0, 1, ...node, 0, 0, ...node]), "nodes that are not sorted"],
      ["a node that is there twice", made([0, 1, ...a, 1, ...a, 2, 0, 0, ...node, 0, 0, ...node]), "nodes that are not sorted"],
      ["skipped records where none are", made([1, 0, 0, 0, 0]), 'skipped records under nan "propagate"'],
      ["a policy that is none", made([0], undefined, [3, 0, 0]), "a policy that is not known"],
      ["a chain of no levels", made([0], [0, 0]), "has no levels"],
      ["a reduction that is none", made([0], [1, 1, 97, 9, 0, 0]), "a kind that is not known"],
      ["outer levels with more keys", made([0], [...levels, 1, 1, 97, 0, 1]), "more key columns than the one inside it"],
      ["more keys than there are columns", made([0], [...levels, 1, 1, 97, 2, 1]), "more key columns than the one inside it"],
      ["two key columns of one name", made([0], [...levels, 2, 1, 97, 1, 97, 2, 1]), "two key columns of one name"],
      ["a chain with bytes too many", made([0], [...levels, 1, 1, 97, 1, 1, 0]), "1 bytes too many"],
    ] as const)
      expect({ what, message: (await failing(() => decodeState(given, shops))).message }).toEqual({
        what,
        message: expect.stringContaining(message),
      });
  });

  test("are refused beyond bytesMax and nodesMax, which can be raised", async () => {
    const bytes = example().encode();
    expect(await failing(() => decodeState(bytes, shops, { bytesMax: bytes.length - 1 }))).toMatchObject({
      code: "ERR_FOURFOLD_STATE",
      message: expect.stringContaining(`the state has ${bytes.length} bytes, bytesMax is ${bytes.length - 1}`),
    });
    expect(await failing(() => decodeState(bytes, shops, { nodesMax: 2 }))).toMatchObject({
      code: "ERR_FOURFOLD_STATE",
      message: expect.stringContaining("3 nodes, nodesMax is 2"),
    });
    expect(decodeState(bytes, shops, { bytesMax: bytes.length, nodesMax: 3 }).nodes).toBe(3);
  });

  test("a state without key columns has one node", async () => {
    const bytes = createState(chain(sum())).encode();
    const at = bytes.length - 4 - 1 - 5 - 1; // before checksum, provenance and the node itself
    expect(bytes[at]).toBe(1);
    const two = stamped(Uint8Array.of(...bytes.slice(0, at), 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    expect((await failing(() => decodeState(two, chain(sum())))).message).toContain("2 nodes without keys, expected 1");
  });
});

test("a part of a larger buffer is read as well", () => {
  const bytes = example().encode();
  const buffer = new Uint8Array(bytes.length + 20).fill(7);
  buffer.set(bytes, 9);
  expect(decodeState(buffer.subarray(9, 9 + bytes.length), shops).finish().values).toEqual(Float64Array.of(-1.125, 40)); // the mean of 0.75 and −3, and 40
});
