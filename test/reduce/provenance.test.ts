// Contract clause 15: what a state has read. The model is a set of single offsets.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../../src/reduce/bytes.ts";
import { checkInterval, type Interval, Provenance } from "../../src/reduce/provenance.ts";
import { failing } from "../failing.ts";

const OFFSETS = 24;

const interval = fc
  .record({
    source: fc.constantFrom("", "\u{1F600}"),
    partition: fc.nat(1),
    from: fc.nat(OFFSETS - 1),
    length: fc.integer({ min: 1, max: 8 }),
  })
  .map(({ length, ...rest }): Interval => ({ ...rest, to: rest.from + length }));

const offsetsOf = (intervals: readonly Interval[]): Set<string> => {
  const all = new Set<string>();
  for (const { source, partition, from, to } of intervals) for (let i = from; i < to; i++) all.add(`${source}/${partition}/${i}`);
  return all;
};

const bytesOf = (provenance: Provenance): Uint8Array => {
  const to = new ByteWriter();
  provenance.write(to);
  return to.finish();
};

const read = (bytes: readonly number[] | Uint8Array): Provenance => {
  const from = new ByteReader(Uint8Array.from(bytes));
  const provenance = Provenance.read(from);
  from.end();
  return provenance;
};

const of = (...intervals: readonly Interval[]): Provenance => {
  const provenance = new Provenance();
  for (const each of intervals) provenance.add([each]);
  return provenance;
};

test("takes what is disjoint, drops what is contained, refuses the rest, and keeps every offset", () => {
  const seen = { disjoint: 0, contained: 0, refused: 0 };
  fc.assert(
    fc.property(fc.array(fc.array(interval, { minLength: 1, maxLength: 3 }), { maxLength: 12 }), (contributions) => {
      const provenance = new Provenance();
      const model = new Set<string>();
      for (const given of contributions) {
        const coming = new Provenance();
        for (const each of given) if (apart(each, coming)) coming.add([each]);
        const offsets = [...offsetsOf(coming.list())];
        const known = coming.list().map((each) => [...offsetsOf([each])].filter((offset) => model.has(offset)).length);
        const sizes = coming.list().map(({ from, to }) => to - from);
        const expected = known.every((n) => n === 0) ? "disjoint" : known.every((n, i) => n === sizes[i]) ? "contained" : "refused";
        seen[expected]++;
        let relation: string = "refused";
        try {
          relation = provenance.relation(coming.list());
        } catch (error) {
          expect(error).toMatchObject({ code: "ERR_FOURFOLD_STATE", message: expect.stringContaining("read before") });
        }
        expect(relation).toBe(expected);
        if (relation !== "disjoint") continue;
        provenance.add(coming.list());
        for (const offset of offsets) model.add(offset);
      }
      expect(offsetsOf(provenance.list())).toEqual(model);
      expect(read(bytesOf(provenance)).list()).toEqual(provenance.list());
    }),
    { seed: 3, numRuns: 400 },
  );
  expect(Math.min(seen.disjoint, seen.contained, seen.refused)).toBeGreaterThan(30);
});

const apart = (each: Interval, coming: Provenance): boolean => {
  const there = offsetsOf(coming.list());
  return [...offsetsOf([each])].every((offset) => !there.has(offset));
};

test("has one form, and one sequence of bytes, in whatever order it came", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(fc.constantFrom("a", "\u{1F600}", "\uFF5E"), fc.nat(1), fc.nat(OFFSETS)), { selector: String }),
      fc.func(fc.integer()),
      (offsets, weigh) => {
        const single = offsets.map(([source, partition, from]): Interval => ({ source, partition, from, to: from + 1 }));
        const [one, other] = [of(...single), of(...[...single].sort((a, b) => weigh(a) - weigh(b)))];
        expect(bytesOf(other)).toEqual(bytesOf(one));
        const list = one.list();
        list.forEach((each, i) => {
          const next = list[i + 1];
          if (next?.source === each.source && next.partition === each.partition) expect(next.from).toBeGreaterThan(each.to);
        });
      },
    ),
  );
});

test("lists sources by code point, then partitions by number", () => {
  const at = (source: string, partition: number): Interval => ({ source, partition, from: 0, to: 1 });
  const list = of(at("\u{1F600}", 0), at("\uFF5E", 10), at("\uFF5E", 9), at("a", 3)).list();
  expect(list.map(({ source, partition }) => [source, partition])).toEqual([
    ["a", 3],
    ["\uFF5E", 9],
    ["\uFF5E", 10],
    ["\u{1F600}", 0],
  ]);
});

test("nothing that was read is disjoint from anything, and nothing that comes is", () => {
  const one: Interval = { source: "s", partition: 0, from: 0, to: 2 ** 53 - 1 };
  expect([new Provenance().isEmpty, new Provenance().relation([one]), of(one).relation([])]).toEqual([true, "disjoint", "disjoint"]);
  expect(read(bytesOf(of(one))).list()).toEqual([one]);
  checkInterval(one);
});

test("60,000 intervals that lie between 60,000 others are disjoint from them, and with the rest they are one", () => {
  const every = (first: number): Interval[] =>
    Array.from({ length: 60_000 }, (_, i) => ({ source: "s", partition: 0, from: 3 * i + first, to: 3 * i + first + 1 }));
  const provenance = new Provenance();
  provenance.add(every(0));
  expect(provenance.relation(every(1))).toBe("disjoint");
  provenance.add(every(1));
  expect(provenance.relation(every(0))).toBe("contained");
  provenance.add(every(2));
  expect(provenance.list()).toEqual([{ source: "s", partition: 0, from: 0, to: 180_000 }]);
});

describe("bytes of another form are refused", () => {
  test.each([
    ["partitions that are not sorted", [2, 1, 98, 0, 1, 0, 1, 1, 97, 0, 1, 0, 1], "not sorted"],
    ["a partition that is there twice", [2, 1, 97, 0, 1, 0, 1, 1, 97, 0, 1, 5, 1], "not sorted"],
    ["a partition without intervals", [1, 2, 97, 98, 0, 0], "without intervals"],
    ["an empty interval", [1, 1, 97, 0, 1, 4, 0], "empty or touch"],
    ["intervals that touch", [1, 1, 97, 0, 2, 4, 1, 0, 1], "empty or touch"],
    ["an offset of 2^53", [1, 1, 97, 0, 1, 1, 255, 255, 255, 255, 255, 255, 255, 15], "2^53 or more"],
    ["more partitions than bytes", [100, 1, 97, 0, 1, 4, 1], "100 entries announced"],
    ["more intervals than bytes", [1, 1, 97, 0, 100, 4, 1], "100 entries announced"],
  ])("%s", async (_, bytes, problem) => {
    expect(await failing(() => read(bytes))).toMatchObject({ code: "ERR_FOURFOLD_STATE", message: expect.stringContaining(problem) });
  });
});
