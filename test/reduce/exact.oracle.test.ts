/**
 * Every way to make an exact sum against Python's integers (exact.py): terms and products, added and taken out, one by one and as
 * lists, merged in trees. Contract clauses 3, 8, 9 (the value) and 15 (the one form).
 */
import { describe, expect, test } from "vitest";
import { dotOf, sumOf } from "../../src/backends/accumulator.ts";
import { exactSum } from "../../src/exact-sum.ts";
import { ByteWriter } from "../../src/reduce/bytes.ts";
import { writeExact } from "../../src/reduce/encode.ts";
import { ExactSum } from "../../src/reduce/exact.ts";
import { ExactSums } from "../../src/reduce/sums.ts";
import { random } from "../random.ts";
import { type Program, program } from "./numbers.ts";
import { type Answer, ask, digits, isTerm, question } from "./oracle.ts";

const CASES = Number(process.env["FOURFOLD_RUNS"] ?? 10_000);

/** Cases that go to one Python process. */
const BATCH = 10_000;

function answerOf(sum: ExactSum, value: number): Answer {
  const { m, exponent, nan, positiveInfinity, negativeInfinity, items } = sum.parts();
  const magnitude = (m < 0n ? -m : m).toString(16);
  return [digits(value), `${m < 0n ? "-" : ""}0x${magnitude}`, exponent, nan, positiveInfinity, negativeInfinity, items];
}

const same = (a: Answer, b: Answer): boolean => a.every((part, i) => part === b[i]);

function bytesOf(sum: ExactSum): Uint8Array {
  const bytes = new ByteWriter();
  writeExact(bytes, sum);
  return bytes.finish();
}

// ---- The ways ----------------------------------------------------------------------------------------------------------

/** The definition: BigInt. */
function defined({ steps }: Program): ExactSum {
  const sum = new ExactSum();
  for (const { sign, what } of steps)
    if (!isTerm(what)) {
      if (sign > 0) sum.merge(defined(what));
      else sum.unmerge(defined(what));
    } else if (what.length === 1) {
      if (sign > 0) sum.add(what[0]);
      else sum.subtract(what[0]);
    } else if (sign > 0) sum.addProduct(...what);
    else sum.subtractProduct(...what);
  return sum;
}

/** A group among others; subtrees are groups of their own. */
function grouped(sums: ExactSums, group: number, { steps }: Program): void {
  for (const { sign, what } of steps)
    if (!isTerm(what)) {
      const other = sums.groups;
      sums.grow(other + 1);
      grouped(sums, other, what);
      if (sign > 0) sums.merge(group, sums.sum(other));
      else sums.unmerge(group, sums.sum(other));
    } else if (what.length === 1) {
      if (sign > 0) sums.add(group, what[0]);
      else sums.subtract(group, what[0]);
    } else if (sign > 0) sums.addProduct(group, ...what);
    else sums.subtractProduct(group, ...what);
}

/** The public sum, one by one. */
function alone({ steps }: Program): ReturnType<typeof exactSum> {
  const sum = exactSum();
  for (const { sign, what } of steps)
    if (!isTerm(what)) {
      if (sign > 0) sum.merge(alone(what));
      else sum.unmerge(alone(what));
    } else if (what.length === 1) {
      if (sign > 0) sum.add(what[0]);
      else sum.subtract(what[0]);
    } else if (sign > 0) sum.addProduct(...what);
    else sum.subtractProduct(...what);
  return sum;
}

/** Lists through the kernels: the terms and the products of a node at once, its subtrees by encoded bytes. */
function listed({ steps }: Program): ExactSum {
  const total = new ExactSum();
  for (const sign of [1, -1] as const) {
    const mine = steps.filter((step) => step.sign === sign).map(({ what }) => what);
    const terms = mine.filter(isTerm);
    const numbers = sumOf(Float64Array.from(terms.filter((term) => term.length === 1).map(([x]) => x)), "x").sum;
    const products = terms.filter((term) => term.length === 2);
    const dot = dotOf(
      products.map(([w]) => w),
      products.map(([, x]) => x),
    );
    const parts = [numbers, dot, ...mine.filter((what): what is Program => !isTerm(what)).map(listed)];
    for (const part of parts) {
      if (sign > 0) total.merge(part);
      else total.unmerge(part);
    }
  }
  return total;
}

describe("an exact sum, made in any way, is the oracle's", () => {
  for (let from = 0; from < CASES; from += BATCH) {
    const count = Math.min(BATCH, CASES - from);
    test(`${count} programs from ${from}: by definition, as a group, alone, through the kernels`, () => {
      const r = random(5505 + from);
      const programs = Array.from({ length: count }, () => program(r));
      const answers = ask(programs);
      expect(answers.length).toBe(count);
      const sums = new ExactSums();
      sums.grow(count);
      const wrong: unknown[] = [];
      for (const [i, each] of programs.entries()) {
        const expected = answers[i]!;
        const definition = defined(each);
        grouped(sums, i, each);
        const single = alone(each);
        const kernel = listed(each);
        const found = {
          definition: answerOf(definition, definition.value()),
          group: answerOf(sums.sum(i), sums.value(i)),
          kernels: answerOf(kernel, kernel.value()),
          alone: [digits(single.value()), single.count],
        };
        const bytes = bytesOf(definition);
        const right =
          same(found.definition, expected) &&
          same(found.group, expected) &&
          same(found.kernels, expected) &&
          found.alone[0] === expected[0] &&
          found.alone[1] === expected[6] &&
          Buffer.compare(single.encode(), bytes) === 0;
        if (!right && wrong.length < 3) wrong.push({ case: from + i, program: JSON.stringify(question(each)), expected, found });
      }
      expect(wrong).toEqual([]);
    });
  }
});
