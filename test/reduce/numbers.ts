/** Numbers that are hard to add, of several kinds, for tests of exact sums. */
import type { Random } from "../random.ts";

const { NaN: nan, POSITIVE_INFINITY: inf, MAX_VALUE: max, MIN_VALUE: min } = Number;

const sign = (r: Random): number => r.pick([1, -1]);

/** One number of each kind. */
export const KINDS: Readonly<Record<string, (r: Random) => number>> = {
  plain: (r) => (r.next() - 0.5) * 100,
  "the full range": (r) => (r.next() - 0.5) * 2 ** (r.int(2090) - 1070),
  "near each other": (r) => 1e15 + r.int(7) / 8,
  ties: (r) => r.pick([1, -1, 2, 2 ** -53, -(2 ** -53), 2 ** -54, 2 ** -106]),
  subnormal: (r) => (r.int(9) - 4) * min,
  "small beside subnormal": (r) => r.pick([1, -1, 3]) * 2 ** (-1010 - r.int(64)),
  huge: (r) => r.pick([max, -max, max / 2, 2 ** 970, -(2 ** 970)]),
  "factors of tiny products": (r) => sign(r) * (1 + r.next()) * (1 + r.next() * 2 ** -20) * 2 ** -(470 + r.int(70)),
  "factors of huge products": (r) => sign(r) * (1 + r.next()) * (1 + r.next() * 2 ** -20) * 2 ** (490 + r.int(40)),
  powers: (r) => sign(r) * 2 ** (r.int(80) - 40),
  prices: (r) => r.int(100_000) / 100,
  "zeros of both signs": (r) => r.pick([0, -0]),
  "with NaN": (r) => (r.int(6) ? r.next() : nan),
  "with infinities": (r) => (r.int(6) ? r.next() - 0.5 : r.pick([inf, inf, -inf])),
  "with one infinity": (r) => (r.int(6) ? r.next() - 0.5 : inf),
  "with infinities and zeros": (r) => r.pick([0, 0, inf, 1, -1]),
};

/** Lists that end near a rounding: each gives its terms. */
const LISTS: readonly ((r: Random) => number[])[] = [
  // A tie at any scale, its neighbours, and its way out far below.
  (r) => {
    const scale = 2 ** (r.int(1900) - 900);
    const odd = sign(r) * (2 ** 52 + r.int(2 ** 30)) * scale;
    return [odd, (sign(r) * scale) / 2, r.pick([0, sign(r) * scale * 2 ** -60, sign(r) * min])];
  },
  // A negative number that float64 holds, as a sum of others.
  (r) => {
    const parts = Array.from({ length: 2 + r.int(6) }, () => -r.int(2 ** 31) * 2 ** r.int(20));
    return [...parts, ...parts.slice(1).map((x) => -x / 2)];
  },
  // Ill-conditioned: what is left is 2^-100 of what went in.
  (r) => {
    const big = Array.from({ length: 1 + r.int(5) }, () => (r.next() - 0.5) * 2 ** (100 + r.int(200)));
    const small = Array.from({ length: 1 + r.int(5) }, () => (r.next() - 0.5) * 2 ** -r.int(60));
    return [...big, ...small, ...big.map((x) => -x).reverse()];
  },
  // Overflow that cancels, all of it or almost.
  (r) => {
    const n = 1 + r.int(6);
    return [...new Array<number>(n).fill(max), ...new Array<number>(n).fill(-max), r.pick([0, 1, -min, 2 ** 970, max])];
  },
  // The edge of the range: max and half a unit of its last place.
  (r) => [sign(r) * max, sign(r) * 2 ** 970, r.pick([0, min, -min, 2 ** 917])],
  // The edge of the subnormal range.
  (r) => Array.from({ length: 2 + r.int(8) }, () => sign(r) * 2 ** (-1074 + r.int(60)) * (1 + r.int(2 ** 20))),
];

/** A term: a number, or the product of two. */
export type Term = readonly [number] | readonly [number, number];

/** How a sum came about: terms, some of them taken out, and other sums merged into it, or out of it. */
export interface Program {
  readonly steps: readonly { readonly sign: 1 | -1; readonly what: Term | Program }[];
}

/** A random way to a sum that is hard to round. */
export function program(r: Random): Program {
  const kind = KINDS[r.pick(Object.keys(KINDS))]!;
  const own = r.int(3) > 0 ? Array.from({ length: r.int(16) }, () => kind(r)) : r.pick(LISTS)(r);
  // Every other one comes back negated, with a little left over: what remains of much is little.
  const back = r.int(2) ? own.map((x) => -x) : [];
  const numbers = [...own, ...back, ...(back.length > 0 && r.int(2) ? [own[0]! * 2 ** -60] : [])];
  const products = r.pick([0, 0, 1, 3]);
  const terms = numbers.map((x): Term => (r.int(4) < products ? [r.pick([kind(r), 1, -1, 0.1, 3, 2 ** -500, 2 ** 500, 0]), x] : [x]));
  return merged(shuffled(terms, r), r, 0);
}

function shuffled<T>(from: readonly T[], r: Random): T[] {
  const list = [...from];
  for (let i = list.length - 1; i > 0; i--) {
    const j = r.int(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}

/** The terms as a tree of merges; a term, or a whole subtree, may come twice and go once. */
function merged(terms: readonly Term[], r: Random, depth: number): Program {
  const steps: { sign: 1 | -1; what: Term | Program }[] = [];
  for (let i = 0; i < terms.length; ) {
    const n = depth < 3 && r.int(5) === 0 ? 1 + r.int(terms.length - i) : 1;
    const what = n > 1 ? merged(terms.slice(i, i + n), r, depth + 1) : terms[i]!;
    steps.push({ sign: 1, what });
    if (r.int(8) === 0) {
      steps.splice(r.int(steps.length), 0, { sign: -1, what });
      steps.push({ sign: 1, what });
    }
    i += n;
  }
  return { steps };
}
