// Exact sums of groups: what they hold is the definition's (exact.oracle.test.ts asks the oracle); here, how they hold it.
import { describe, expect, test } from "vitest";
import { ByteWriter } from "../../src/reduce/bytes.ts";
import { writeExact } from "../../src/reduce/encode.ts";
import { ExactSum } from "../../src/reduce/exact.ts";
import { ExactSums } from "../../src/reduce/sums.ts";
import { random } from "../random.ts";

const { NaN: nan, POSITIVE_INFINITY: inf, MAX_VALUE: max, MIN_VALUE: min } = Number;

/** Their product is just beyond float64, that of the upper 26 bits of each just below its end. */
const BEYOND = 2 ** 512 * (1 + 2 ** -26 - 2 ** -40);
const BELOW = 2 ** 512 * (1 - 2 ** -27 - 2 ** -40);

/** Bytes of a group while three words hold it. */
const WORDS = 32;

function groups(n: number): ExactSums {
  const sums = new ExactSums();
  sums.grow(n);
  return sums;
}

function encodedLength(sum: ExactSum): number {
  const bytes = new ByteWriter();
  writeExact(bytes, sum);
  return bytes.finish().length;
}

describe("a group", () => {
  test.each([
    ["uniform numbers", (r) => r.next()],
    ["normal numbers", (r) => Math.sqrt(-2 * Math.log(1 - r.next())) * Math.cos(6.28 * r.next())],
    ["prices", (r) => r.int(1e6) / 100],
    ["20 orders of magnitude", (r) => (r.next() - 0.5) * 10 ** (r.int(20) - 10)],
  ] as [string, (r: ReturnType<typeof random>) => number][])("of %s stays at 32 bytes, and tens when encoded", (_, draw) => {
    const r = random(7);
    const sums = groups(20);
    const definitions = Array.from({ length: 20 }, () => new ExactSum());
    for (let i = 0; i < 20_000; i++) {
      const [group, x] = [r.int(20), draw(r)];
      sums.add(group, x);
      definitions[group]!.add(x);
    }
    expect(sums.bytes).toBe(20 * WORDS);
    definitions.forEach((definition, group) => {
      expect(sums.value(group)).toBe(definition.value());
      expect(sums.sum(group).parts()).toEqual(definition.parts());
      expect(encodedLength(sums.sum(group))).toBeLessThan(40);
    });
  });

  test("of products of ordinary numbers stays at 32 bytes", () => {
    const r = random(8);
    const sums = groups(1);
    const definition = new ExactSum();
    for (let i = 0; i < 5000; i++) {
      const [w, x] = [r.next(), (r.next() - 0.5) * 1e4];
      sums.addProduct(0, w, x);
      definition.addProduct(w, x);
    }
    expect(sums.bytes).toBe(WORDS);
    expect(sums.sum(0).parts()).toEqual(definition.parts());
  });

  test("of products is exact down to where their errors, and they themselves, underflow", () => {
    const r = random(10);
    const sums = groups(1200);
    for (let exponent = 0; exponent < 1200; exponent++) {
      const [w, x] = [1 + r.next() + r.next() * 2 ** -30, (1 + r.next() + r.next() * 2 ** -30) * 2 ** -Math.min(exponent, 1000)];
      const scaled = w * 2 ** -Math.max(0, exponent - 1000);
      const definition = new ExactSum();
      definition.addProduct(scaled, x);
      sums.addProduct(exponent, scaled, x);
      expect(sums.sum(exponent).parts(), `2^-${exponent}`).toEqual(definition.parts());
    }
  });

  test("grows where three words do not hold it, and gives the room back when that cancels", () => {
    const sums = groups(3);
    const far = [1e300, 1e200, 1e100, 1, 1e-100];
    for (const x of far) sums.add(1, x);
    expect(sums.bytes).toBeGreaterThan(3 * WORDS);
    for (const x of far) sums.subtract(1, x);
    for (const x of [...far].reverse()) sums.add(1, x);
    expect(sums.value(1)).toBe(1e300);
    expect(sums.items(1)).toBe(5);
    sums.unmerge(1, sums.sum(1));
    expect(sums.sum(1).parts()).toEqual(new ExactSum().parts());
    for (const special of [nan, inf, -inf]) {
      const before = sums.bytes;
      sums.add(2, special);
      expect(sums.bytes).toBeGreaterThan(before);
      expect(sums.value(2)).toBe(special);
      sums.subtract(2, special);
      expect(sums.bytes).toBe(before);
      expect(sums.value(2)).toBe(0);
    }
  });

  test("takes a merged sum of few bits into its words", () => {
    const r = random(9);
    const sums = groups(2);
    const definition = new ExactSum();
    for (let i = 0; i < 200; i++) {
      const part = new ExactSum();
      for (let k = 0; k < 10; k++) part.add(r.next() * 1000);
      sums.merge(0, part);
      definition.merge(part);
      sums.unmerge(1, part);
    }
    expect(sums.bytes).toBe(2 * WORDS);
    expect(sums.sum(0).parts()).toEqual(definition.parts());
    expect(sums.value(1)).toBe(-definition.value());
    expect(sums.items(1)).toBe(-2000);
  });

  test("keeps what it holds when there are more of them", () => {
    const sums = new ExactSums();
    for (let group = 0; group < 1000; group++) {
      sums.grow(group + 1);
      sums.add(group, group);
      if (group % 10 === 0) sums.add(group, inf);
    }
    sums.grow(10);
    expect(sums.groups).toBe(1000);
    for (let group = 0; group < 1000; group++) expect(sums.value(group)).toBe(group % 10 === 0 ? inf : group);
  });

  // Contract clauses 8 and 9.
  test.each([
    ["an exact zero is +0", [-0], 0],
    ["numbers that cancel are +0", [-1, 1], 0],
    ["overflow that cancels leaves no trace", [max, max, -max, -max, 1], 1],
    ["a sum beyond float64 is an infinity", [-max, -max], -inf],
    ["half a unit beyond the largest number is an infinity", [max, 2 ** 970], inf],
    ["a little less is the largest number", [max, 2 ** 970, -min], max],
    ["a tie goes to even", [2 ** 53, 1], 2 ** 53],
    ["a tie goes to even, upwards too", [2 ** 53 + 2, 1], 2 ** 53 + 4],
    ["a little above a tie goes up", [2 ** 53, 1, min], 2 ** 53 + 2],
    ["a little below a tie goes down", [2 ** 53 + 2, 1, -min], 2 ** 53 + 2],
    ["a little beyond a tie below a power of two", [2 ** 53, -0.5, -(2 ** -60)], 2 ** 53 - 1],
    ["a negative number that float64 holds is that", [-(2 ** 60), -(2 ** 8), 2 ** 59], -(2 ** 59) - 2 ** 8],
    ["subnormals add exactly", [min, min, -3 * min], -min],
    ["words that came out of order", [1e-300, 1, 1e300, -1e300, -1], 1e-300],
    ["a tie that the word in the middle breaks", [2 ** 160, 2 ** 106, 1, -(2 ** 106), 2 ** -60, -(2 ** 160), 2 ** 53], 2 ** 53 + 2],
  ])("%s", (_, terms, value) => {
    const sums = groups(1);
    for (const x of terms) sums.add(0, x);
    expect(sums.value(0)).toBe(value);
  });

  test.each([
    ["a product that underflows keeps its sign", [[-min, min]], -0],
    [
      "a product whose error underflows is exact",
      [
        [2 ** -500, 2 ** -500 * (1 + 2 ** -52)],
        [-(2 ** -500), 2 ** -500],
      ],
      2 ** -1052,
    ],
    [
      "a product beyond float64 cancels",
      [
        [max, 2],
        [-max, 2],
        [1, 3],
      ],
      3,
    ],
    [
      "one whose upper halves' product is not beyond it, too",
      [
        [BEYOND, BELOW],
        [-BEYOND, BELOW],
        [1, 3],
      ],
      3,
    ],
    [
      "a factor whose halves overflow",
      [
        [max, 2 ** -1000],
        [-max, 2 ** -1000],
        [7, 1],
      ],
      7,
    ],
    ["zero times Infinity is NaN", [[0, inf]], nan],
    ["zero times anything finite is +0", [[-0, max]], 0],
    [
      "an infinite product counts as that",
      [
        [-1, inf],
        [2, 3],
      ],
      -inf,
    ],
  ] as [string, [number, number][], number][])("%s", (_, products, value) => {
    const sums = groups(1);
    for (const [w, x] of products) sums.addProduct(0, w, x);
    expect(sums.value(0)).toBe(value);
    for (const [w, x] of products) sums.subtractProduct(0, w, x);
    expect(sums.sum(0).parts()).toEqual(new ExactSum().parts());
  });
});

test("exchange takes one term out and puts another in, exactly, whatever their sizes (clause 3)", () => {
  const draw = random(5);
  for (const flavour of ["plain", "cancelling", "specials", "integers"]) {
    const sums = new ExactSums();
    sums.grow(1);
    const held = [...draw.numbers(20, flavour)];
    for (const x of held) sums.add(0, x);
    for (let i = 0; i < 500; i++) {
      const at = draw.int(held.length);
      const [next] = draw.numbers(1, flavour);
      const x = held[at]!;
      sums.exchange(0, x, next!);
      held[at] = next!;
      expect(sums.sum(0).parts()).toEqual(ExactSum.of(held, held.length).parts());
    }
  }
});
