/** The quotient of exact sums in plain numbers is the definition's (contract clause 6), or says that it is in doubt. */
import { describe, expect, test } from "vitest";
import { ExactSum, exactQuotient } from "../../src/reduce/exact.ts";
import { PARTS_FLAG, quotientOfParts } from "../../src/reduce/quotient.ts";
import { type Random, random } from "../random.ts";

/** Cases of each kind. */
const CASES = Number(process.env["FOURFOLD_RUNS"] ?? 20_000);

type Parts = readonly [high: number, low: number];

function exactly(...terms: number[]): ExactSum {
  const sum = new ExactSum();
  for (const term of terms) sum.add(term);
  return sum;
}

/** a + b as RN(a + b) and the rest. */
const parts = (a: number, b: number): Parts => {
  const high = a + b;
  const t = high - a;
  return [high, a - (high - t) + (b - t)];
};

const sign = (r: Random): number => (r.int(2) ? 1 : -1);
const full = (r: Random): number => sign(r) * (1 + r.next()) * 2 ** (r.int(60) - 30);

const KINDS: Readonly<Record<string, (r: Random) => readonly [Parts, Parts, often: boolean]>> = {
  "random sums": (r) => [parts(full(r), full(r) * 2 ** -53), parts(full(r), full(r) * 2 ** -53), true],
  "means of random sums": (r) => [parts(full(r), full(r) * 2 ** -54), [1 + r.int(100_000), 0], true],
  "means of whole numbers": (r) => [[r.int(2 ** 30) - 2 ** 29, 0], [1 + r.int(5000), 0], true],
  "quotients that are float64": (r) => {
    const q = Math.fround(full(r));
    const d = 1 + r.int(2 ** 29);
    return [[q * d, 0], [d, 0], true];
  },
  "halves of last places": (r) => {
    // (q + ulp/2)·d, exactly: a tie, which only a power of two tells.
    const q = 2 ** 52 + r.int(2 ** 30);
    const d = r.int(2) ? 2 ** r.int(20) : 3 + 2 * r.int(1000);
    return [parts(q * d, d / 2), [d, 0], false];
  },
  "beside halves of last places": (r) => {
    const q = 2 ** 52 + r.int(2 ** 30);
    const d = 3 + 2 * r.int(1000);
    return [parts(q * d, d / 2 + sign(r) * 2 ** -r.int(44)), [d, 0], false];
  },
  "the whole range": (r) => [[full(r) * 2 ** (r.int(1900) - 950), 0], [full(r) * 2 ** (r.int(1900) - 950), 0], false],
  zeros: (r) => [
    [0, 0],
    r.pick<Parts>([
      [0, 0],
      [3, 0],
      [-2, 2 ** -60],
    ]),
    false,
  ],
};

describe("quotientOfParts", () => {
  test.each(Object.keys(KINDS))("%s: it is the exact quotient rounded once, or in doubt", (kind) => {
    const r = random(kind.length);
    let doubts = 0;
    let usual = false;
    for (let i = 0; i < CASES; i++) {
      const [[nh, nl], [dh, dl], often] = KINDS[kind]!(r);
      usual = often;
      const got = quotientOfParts(nh, nl, PARTS_FLAG.exact, dh, dl, PARTS_FLAG.exact);
      if (got === undefined) doubts++;
      else if (!Object.is(got, exactQuotient(exactly(nh, nl), exactly(dh, dl)))) throw new Error(`${[nh, nl]} / ${[dh, dl]} is not ${got}`);
    }
    if (usual) expect(doubts).toBeLessThanOrEqual(Math.ceil(CASES / 1000));
  });

  test("parts that are only near are in doubt where 2^-104 may matter, and nowhere else", () => {
    const r = random(1);
    let doubts = 0;
    for (let i = 0; i < CASES; i++) {
      const [nh, nl] = parts(full(r), full(r) * 2 ** -53);
      const [dh, dl] = parts(full(r), full(r) * 2 ** -53);
      const got = quotientOfParts(nh, nl, PARTS_FLAG.near, dh, dl, PARTS_FLAG.near);
      if (got === undefined) {
        doubts++;
        continue;
      }
      for (const by of [2 ** -104, -(2 ** -104)])
        expect(Object.is(got, exactQuotient(exactly(nh, nl, nh * by), exactly(dh, dl, -dh * by)))).toBe(true);
    }
    expect(doubts).toBe(0);
    expect(quotientOfParts(8, 0, PARTS_FLAG.near, 2, 0, PARTS_FLAG.exact)).toBe(4);
    expect(quotientOfParts(2 ** 53 + 2, 1, PARTS_FLAG.near, 4, 0, PARTS_FLAG.exact)).toBeUndefined();
  });

  test("a sum that is NaN makes NaN, and one that is unknown doubt", () => {
    const { exact, notANumber, other } = PARTS_FLAG;
    expect(quotientOfParts(Number.NaN, 0, notANumber, 3, 0, exact)).toBeNaN();
    expect(quotientOfParts(1, 0, exact, Number.NaN, 0, notANumber)).toBeNaN();
    expect(quotientOfParts(1, 0, other, 3, 0, exact)).toBeUndefined();
    expect(quotientOfParts(1, 0, exact, 0, 0, exact)).toBeUndefined();
  });
});
