/** Python, which answers for what exact sums should be: exact.py for programs of numbers.ts. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "../child.ts";
import type { Program, Term } from "./numbers.ts";

/** What a Python program prints. */
export function python(args: readonly string[], input = ""): string {
  const { stdout, stderr, error, status } = spawnSync("python3", args, { input, encoding: "utf8", maxBuffer: 1 << 28 });
  if (stderr) throw new Error(`the oracle failed with exit code ${status}: ${stderr}`);
  if (error) throw new Error(`python3 is needed as the oracle of exact sums: ${error.message}. Install Python 3 and put it in PATH.`);
  return stdout;
}

const view = new DataView(new ArrayBuffer(8));

/** The bits of a number; quick, since there are many. */
function hex(x: number): string {
  view.setFloat64(0, x);
  return view.getUint32(0).toString(16).padStart(8, "0") + view.getUint32(4).toString(16).padStart(8, "0");
}

/** A number as the oracle writes it. */
export const digits = (x: number): string => (x === x ? hex(x) : "nan");

/** Tells a term from a subtree. */
export const isTerm = (what: Term | Program): what is Term => Array.isArray(what);

/** A program as the oracle reads it. */
export function question({ steps }: Program): unknown[] {
  return steps.map(({ sign, what }) => (isTerm(what) ? [sign, ...what.map(hex)] : [sign, question(what)]));
}

/** What the oracle and every sum answer: the value's digits, M and e, and the counts. */
export type Answer = readonly [value: string, m: string, exponent: number, nan: number, positive: number, negative: number, items: number];

/** What the oracle makes of the programs. */
export function ask(programs: readonly Program[]): Answer[] {
  const input = programs.map((each) => `${JSON.stringify(question(each))}\n`).join("");
  return python([join(ROOT, "test/reduce/exact.py")], input)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Answer);
}
