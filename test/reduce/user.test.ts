import { describe, expect, test } from "vitest";
import type { ReductionDefinition } from "../../src/reduce/reductions.ts";
import { reduceUser } from "../../src/reduce/user.ts";
import { failing } from "../failing.ts";

/** Writes down what is done with it. */
const journal: ReductionDefinition<string[]> = {
  name: "journal",
  init: () => [],
  add: (s, x) => [...s, String(x)],
  merge: (a, b) => [`(${a.length} + ${b.length})`],
  finish: (s) => s.length,
};
const place = { level: "site", node: 7 };
function trace(n: number, skip = false): string {
  let seen = "";
  const finish = (s: unknown): number => {
    seen = (s as string[]).join();
    return 0;
  };
  reduceUser({ ...journal, finish } as ReductionDefinition<unknown>, n, (i) => (i === 1 ? Number.NaN : i), skip, place);
  return seen;
}

describe("a user's reduction of one node", () => {
  test("adds in index order, and starts with init even where there is no child", () => {
    expect(trace(3)).toBe("0,NaN,2");
    expect(trace(0)).toBe("");
  });

  test("leaves NaN out under skip", () => {
    expect(trace(3, true)).toBe("0,2");
  });

  test("merges the states of blocks of 4096 from left to right", () => {
    expect(trace(4096)).not.toContain("+");
    expect(trace(4097)).toBe("(4096 + 1)");
    expect(trace(3 * 4096)).toBe("(1 + 4096)");
  });

  test("gives every NaN the same bits", () => {
    const of = (finish: () => unknown): number =>
      reduceUser({ ...journal, finish } as ReductionDefinition<unknown>, 0, () => 0, false, place);
    expect(of(() => -Number.NaN)).toBeNaN();
  });

  test("that finishes with something else, such as a promise, is an error", async () => {
    for (const other of [undefined, null, "5", 5n, Promise.resolve(5)]) {
      const finish = (): unknown => other;
      const error = await failing(() => reduceUser({ ...journal, finish } as ReductionDefinition<unknown>, 0, () => 0, false, place));
      expect(error).toMatchObject({ code: "ERR_FOURFOLD_REDUCTION", at: { level: "site", node: 7 } });
      expect(error.message).toContain("finish() gave");
    }
  });

  test("that throws is an error with level, node, child and cause", async () => {
    const cause = new RangeError("no");
    const throwing = {
      ...journal,
      add: (s: unknown, x: number): unknown =>
        x === 4097
          ? (() => {
              throw cause;
            })()
          : s,
    } as ReductionDefinition<unknown>;
    const error = await failing(() => reduceUser(throwing, 5000, (i) => i, false, place));
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_REDUCTION", cause, at: { level: "site", node: 7, index: 4097 } });
    expect(error.message).toBe('level "site": reduction "journal" threw at child 4097 of node 7: no');
    expect(
      (
        await failing(() =>
          reduceUser(
            {
              ...journal,
              init: () => {
                throw "text";
              },
            } as ReductionDefinition<unknown>,
            1,
            () => 0,
            false,
            place,
          ),
        )
      ).message,
    ).toContain(": text");
  });
});
