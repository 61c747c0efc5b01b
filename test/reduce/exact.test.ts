import { spawnSync } from "node:child_process";
import { beforeAll, describe, expect, test } from "vitest";
import { ExactSum, exactQuotient, exactVariance, roundRatio } from "../../src/reduce/exact.ts";
import { random } from "../random.ts";
import { KINDS } from "./numbers.ts";

/**
 * The oracle: Python's integers and fractions, rounded by int / int, which CPython defines as correctly rounded. It shares nothing
 * with exact.ts. Numbers travel as 16 hex digits. Each job: [what, x, w, ddof].
 */
const ORACLE = `
import json, math, struct, sys
from fractions import Fraction

def number(h): return struct.unpack(">d", bytes.fromhex(h))[0]
def digits(v): return "nan" if math.isnan(v) else struct.pack(">d", v).hex()

def rounded(f):
    if f == 0: return 0.0
    sign = -1.0 if f < 0 else 1.0  # one that underflows keeps it
    try: return math.copysign(f.numerator / f.denominator, sign)
    except OverflowError: return sign * math.inf

def total(terms):
    # terms: pairs of floats. An IEEE product that is not finite although both factors are is no special.
    specials = [a * b for a, b in terms if not (math.isfinite(a) and math.isfinite(b))]
    if any(math.isnan(s) for s in specials) or len(set(specials)) > 1: return math.nan
    if specials: return specials[0]
    return sum((Fraction(a) * Fraction(b) for a, b in terms), Fraction(0))

def value(t): return t if isinstance(t, float) else rounded(t)

def quotient(n, d):
    if isinstance(n, float) or isinstance(d, float) or d == 0:
        n, d = value(n), value(d)
        if d == 0: return math.nan if n == 0 or math.isnan(n) else math.copysign(math.inf, n) * math.copysign(1, d)
        return n / d
    return rounded(n / d)

def variance(x, ddof):
    n = len(x)
    if n <= ddof or not all(map(math.isfinite, x)): return math.nan
    s, q = sum(map(Fraction, x)), sum(Fraction(v) ** 2 for v in x)
    return rounded((n * q - s * s) / (n * (n - ddof)))

def answer(what, x, w, ddof):
    x, w = [number(h) for h in x], [number(h) for h in w]
    if what == "sum": return value(total([(v, 1.0) for v in x]))
    if what == "dot": return value(total(list(zip(w, x))))
    if what == "ratio": return quotient(total(list(zip(w, x))), total([(v, 1.0) for v in w]))
    return variance(x, ddof)

json.dump([digits(answer(*job)) for job in json.load(sys.stdin)], sys.stdout)
`;

interface Job {
  readonly what: "sum" | "dot" | "ratio" | "variance";
  readonly kind: string;
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly ddof: number;
}

function digits(v: number): string {
  if (v !== v) return "nan";
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, v);
  return view.getBigUint64(0).toString(16).padStart(16, "0");
}

function ours({ what, x, w, ddof }: Job): number {
  const sum = new ExactSum();
  const weights = new ExactSum();
  const squares = new ExactSum();
  x.forEach((v, i) => {
    if (what === "dot" || what === "ratio") sum.addProduct(w[i]!, v);
    else sum.add(v);
    weights.add(w[i]!);
    squares.addProduct(v, v);
  });
  if (what === "ratio") return exactQuotient(sum, weights);
  return what === "variance" ? exactVariance(x.length, ddof, sum, squares) : sum.value();
}

const { NaN: nan, POSITIVE_INFINITY: inf, MAX_VALUE: max, MIN_VALUE: min } = Number;

function jobs(): Job[] {
  const r = random(2026);
  const all: Job[] = [];
  for (const what of ["sum", "dot", "ratio", "variance"] as const)
    for (const [kind, draw] of Object.entries(KINDS))
      for (let k = 0; k < 12; k++) {
        const n = k < 4 ? k : 1 + r.int(30);
        let x = Array.from({ length: n }, () => draw(r));
        let w = Array.from({ length: n }, () => (r.int(3) ? draw(r) : r.next()));
        // Every third comes back negated, in another order, with a little left over: what remains of much is little.
        if (k % 3 === 2 && what !== "variance") {
          x = [...x, ...x.map((v) => -v).reverse(), ...x.slice(0, 1).map((v) => v * 2 ** -60)];
          w = [...w, ...w.slice().reverse(), ...w.slice(0, 1)];
        }
        all.push({ what, kind, x, w, ddof: k % 2 });
      }
  return all;
}

const ALL = jobs();
let oracle: string[] = [];
beforeAll(() => {
  const input = JSON.stringify(ALL.map(({ what, x, w, ddof }) => [what, x.map(hex), w.map(hex), ddof]));
  const { stdout, stderr, error, status } = spawnSync("python3", ["-c", ORACLE], { input, encoding: "utf8", maxBuffer: 1 << 26 });
  if (error) throw new Error(`python3 is needed as the oracle of exact sums: ${error.message}. Install Python 3 and put it in PATH.`);
  if (status !== 0) throw new Error(`The oracle failed with exit code ${status}: ${stderr}`);
  oracle = JSON.parse(stdout) as string[];
});

const hex = (v: number): string => (v === v ? digits(v) : "7ff8000000000000");

describe.each(["sum", "dot", "ratio", "variance"] as const)("the exact %s", (what) => {
  test.each(Object.keys(KINDS))("is what Python's fractions give: %s", (kind) => {
    let seen = 0;
    ALL.forEach((job, j) => {
      if (job.what !== what || job.kind !== kind) return;
      seen++;
      expect({ ...job, result: digits(ours(job)) }).toEqual({ ...job, result: oracle[j] });
    });
    expect(seen).toBe(12);
  });
});

test("an empty sum is +0, its quotient by another NaN and its variance NaN", () => {
  expect(new ExactSum().value()).toBe(0);
  expect(exactQuotient(new ExactSum(), new ExactSum())).toBeNaN();
  expect(exactVariance(0, 0, new ExactSum(), new ExactSum())).toBeNaN();
});

test("an exact zero is +0, and a product that underflows keeps its sign", () => {
  const zero = new ExactSum();
  zero.add(-0);
  expect(zero.value()).toBe(0);
  const tiny = new ExactSum();
  tiny.addProduct(-min, min);
  expect(tiny.value()).toBe(-0);
});

test("intermediate overflow does not exist", () => {
  const sum = new ExactSum();
  for (let i = 0; i < 1000; i++) sum.addProduct(max, max);
  for (let i = 0; i < 1000; i++) sum.addProduct(-max, max);
  sum.add(1);
  expect(sum.value()).toBe(1);
});

test.each([
  [2n ** 53n + 1n, 1n, 0, 2 ** 53],
  [2n ** 53n + 3n, 1n, 0, 2 ** 53 + 4],
  [-(2n ** 53n) - 1n, 1n, 0, -(2 ** 53)],
  [2n ** 54n + 3n, 2n, 0, 2 ** 53 + 2],
  [1n, 2n, -1074, 0],
  [-1n, 2n, -1074, -0],
  [3n, 2n, -1074, 2 * min],
  [2n ** 54n - 1n, 1n, 970, inf],
  [2n ** 54n - 2n, 1n, 970, max],
  [1n, 3n, 0, 1 / 3],
] as const)("roundRatio(%s, %s, %s) is %s: ties to even", (numerator, denominator, exponent, value) => {
  expect(roundRatio(numerator, denominator, exponent)).toBe(value);
});

test("a remainder breaks a tie, upwards", () => {
  const tie = (2n ** 53n + 1n) << 20n;
  expect(roundRatio(3n * tie, 3n, -73)).toBe(1);
  expect(roundRatio(3n * tie + 1n, 3n, -73)).toBe(1 + 2 ** -52);
  expect(roundRatio(3n * tie - 1n, 3n, -73)).toBe(1);
});

test("infinities and NaN are counted: they merge, and can be taken out again (clause 8)", () => {
  const [one, other] = [sumOf(1), sumOf(2, inf, -inf, nan)];
  one.merge(other);
  expect(one.parts()).toMatchObject({ positiveInfinity: 1, negativeInfinity: 1, nan: 1, items: 5 });
  expect(one.value()).toBe(nan);
  one.subtract(nan);
  one.subtract(-inf);
  expect(one.value()).toBe(inf);
  one.subtract(inf);
  expect(one.value()).toBe(3);
  expect(one.parts()).toMatchObject({ positiveInfinity: 0, negativeInfinity: 0, nan: 0, items: 2 });
});

/** The exact sum of terms; a pair is a product. */
function sumOf(...terms: readonly (number | readonly [number, number])[]): ExactSum {
  const total = new ExactSum();
  for (const term of terms)
    if (typeof term === "number") total.add(term);
    else total.addProduct(...term);
  return total;
}

test.each([
  ["an infinity by a sum beyond float64", sumOf(inf), sumOf(max, max), inf],
  ["an infinity by a negative sum beyond float64", sumOf(inf), sumOf(-max, -max), -inf],
  ["an infinity by a sum below float64", sumOf(-inf), sumOf([min, min]), -inf],
  ["a sum below float64 by zero", sumOf([min, min]), sumOf(), inf],
  ["a negative sum below float64 by zero", sumOf([-min, min]), sumOf(1, -1), -inf],
  ["a sum beyond float64 by an infinity", sumOf(max, max), sumOf(inf), 0],
  ["a sum beyond float64 by −Infinity", sumOf(max, max), sumOf(-inf), -0],
  ["a negative sum below float64 by an infinity", sumOf([-min, min]), sumOf(inf), -0],
  ["zero by −Infinity: an exact zero is +0", sumOf(), sumOf(-inf), 0],
  ["zero by a negative number", sumOf(1, -1), sumOf(-3), 0],
  ["zero by zero", sumOf(), sumOf(-0), nan],
  ["an infinity by zero", sumOf(-inf), sumOf(), -inf],
  ["an infinity by an infinity", sumOf(inf), sumOf(-inf), nan],
  ["NaN by anything", sumOf(inf, -inf), sumOf(1), nan],
  ["anything by NaN", sumOf(1), sumOf(nan), nan],
  ["zero by NaN", sumOf(), sumOf(nan), nan],
  ["two sums beyond float64", sumOf(max, max, max), sumOf(max, max), 1.5],
  ["two sums below float64", sumOf([min, min]), sumOf([min, -4 * min]), -0.25],
] as const)("the exact quotient rounds no operand first: %s", (_, numerator, denominator, value) => {
  expect(exactQuotient(numerator, denominator)).toBe(value);
});
