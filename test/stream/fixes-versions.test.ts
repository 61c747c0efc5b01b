/** Changes of weights over the life of a stream: which are forgotten, and how those of a restarted program join those of a checkpoint. */
import { describe, expect, test } from "vitest";
import { chain, FourfoldError, sum, weightedSum } from "../../src/index.ts";
import { ByteReader, ByteWriter } from "../../src/reduce/bytes.ts";
import { ChainVersions } from "../../src/stream/versions.ts";
import { random } from "../random.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 40);

const FIRST = chain({ f: sum(), g: weightedSum([0]), h: weightedSum([0]), k: weightedSum([0]) });

interface Said {
  readonly level: string;
  readonly weight: number;
  readonly from: number;
}

/** What holds at a start, from the whole list of what was said. */
function naive(said: readonly Said[], start: number): { readonly version: number; readonly weights: readonly number[] } {
  const holding = said.map((one, i) => ({ ...one, version: i + 1 })).filter(({ from }) => from <= start);
  return {
    version: Math.max(0, ...holding.map(({ version }) => version)),
    weights: ["g", "h", "k"].map((level) => holding.findLast((one) => one.level === level)?.weight ?? 0),
  };
}

function shown(versions: ChainVersions, start: number): ReturnType<typeof naive> {
  const { chain: own, version } = versions.at(start);
  const weights = own.levels.slice(1).map(({ reduction }) => (reduction.weights as { readonly values: Float64Array }).values[0]!);
  return { version, weights };
}

function written(versions: ChainVersions): Uint8Array {
  const to = new ByteWriter();
  versions.write(to);
  return to.finish();
}

const restore = (versions: ChainVersions, bytes: Uint8Array): void => versions.read(new ByteReader(bytes));

describe("changes that are forgotten", () => {
  test("are those that nothing needs: what starts at the bound or later has the weights and the version that it had", () => {
    for (let seed = 1; seed <= RUNS; seed++) {
      const r = random(seed);
      const versions = new ChainVersions(FIRST);
      const said: Said[] = [];
      let bound = Number.NEGATIVE_INFINITY;
      for (let step = 0; step < 40; step++) {
        if (r.int(4) === 0) {
          const start = Math.max(bound, r.int(30));
          const { chain: before } = versions.at(start);
          bound = Math.max(bound, start - r.int(5));
          versions.forget(bound);
          expect(versions.at(start).chain).toBe(before);
        } else {
          const one = { level: r.pick(["g", "h", "k"]), weight: 1 + step, from: r.int(6) === 0 ? Number.NEGATIVE_INFINITY : r.int(30) };
          said.push(one);
          expect(versions.set(one.level, [one.weight], one.from)).toBe(said.length);
        }
        for (let start = Math.max(bound, -1); start < 32; start++) expect(shown(versions, start)).toEqual(naive(said, start));
      }
    }
  });

  test("leave room for more changes than are kept at a time", () => {
    const versions = new ChainVersions(FIRST);
    for (let i = 0; i < 20_000; i++) {
      versions.set("g", [i], i);
      if (i % 1000 === 0) versions.forget(i - 5);
    }
    expect(shown(versions, 20_000)).toEqual({ version: 20_000, weights: [19_999, 0, 0] });
  }, 60_000);

  test("are as many as can be: one of each level is left when all have begun", () => {
    const versions = new ChainVersions(FIRST);
    for (let i = 0; i < 50; i++) versions.set(i % 2 === 0 ? "g" : "h", [i], i);
    const before = written(versions).length;
    versions.forget(1000);
    expect(written(versions).length).toBeLessThan(before / 10);
    expect(shown(versions, 1000)).toEqual({ version: 50, weights: [48, 49, 0] });
  });
});

describe("changes from a checkpoint and from the program", () => {
  const earlier = (): ChainVersions => {
    const versions = new ChainVersions(FIRST);
    versions.set("g", [1]);
    versions.set("h", [2], 10);
    return versions;
  };

  test("go together: the program's come last, numbered on", () => {
    const versions = new ChainVersions(FIRST);
    versions.set("k", [7]);
    versions.set("g", [8], 20);
    restore(versions, written(earlier()));
    expect(versions.version).toBe(4);
    expect(shown(versions, 0)).toEqual({ version: 3, weights: [1, 0, 7] });
    expect(shown(versions, 15)).toEqual({ version: 3, weights: [1, 2, 7] });
    expect(shown(versions, 20)).toEqual({ version: 4, weights: [8, 2, 7] });
    expect(versions.set("g", [9])).toBe(5);
  });

  test("are not doubled by a program that says the same each time it starts", () => {
    let bytes = written(earlier());
    for (let starts = 0; starts < 3; starts++) {
      const versions = earlier();
      restore(versions, bytes);
      expect(versions.version).toBe(2);
      bytes = written(versions);
    }
    const several = (): ChainVersions => {
      const versions = new ChainVersions(FIRST);
      for (const [weight, from] of [
        [1, Number.NEGATIVE_INFINITY],
        [2, 10],
        [3, 20],
      ] as const)
        versions.set("g", [weight], from);
      return versions;
    };
    const again = several();
    restore(again, written(several()));
    expect([shown(again, 0), shown(again, 10), shown(again, 25)]).toEqual([
      { version: 1, weights: [1, 0, 0] },
      { version: 2, weights: [2, 0, 0] },
      { version: 3, weights: [3, 0, 0] },
    ]);
  });

  test("are those of the program where it says something else than was said last, or from another point on", () => {
    const other = new ChainVersions(FIRST);
    other.set("h", [2], 5);
    restore(other, written(earlier()));
    expect([shown(other, 5), shown(other, 10)]).toEqual([
      { version: 3, weights: [1, 2, 0] },
      { version: 3, weights: [1, 2, 0] },
    ]);
    // The program starts with 1 for g; while it ran it had said 5.
    const ran = earlier();
    ran.set("g", [5], 100);
    const restarted = earlier();
    restore(restarted, written(ran));
    expect(shown(restarted, 100)).toEqual({ version: 4, weights: [1, 2, 0] });
  });

  test("have a point from which they hold: NaN is none", () => {
    const versions = new ChainVersions(FIRST);
    for (const from of [Number.NaN, null, "1"])
      expect(() => versions.set("g", [1], from as number)).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_ARGUMENT" }));
    expect(() => versions.set("nowhere", [1], 1)).toThrow(FourfoldError);
    expect(versions.version).toBe(0);
  });
});
