// Contract clauses 8, 9 and 15: exact values as bytes.
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../../src/reduce/bytes.ts";
import { fromLittleEndian, littleEndian, readExact, writeExact } from "../../src/reduce/encode.ts";
import { ExactSum } from "../../src/reduce/exact.ts";
import { failing } from "../failing.ts";
import { random } from "../random.ts";

const bytesOf = (sum: ExactSum): Uint8Array => {
  const to = new ByteWriter();
  writeExact(to, sum);
  return to.finish();
};

const sumOf = (...terms: readonly number[]): ExactSum => {
  const sum = new ExactSum();
  for (const x of terms) sum.add(x);
  return sum;
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test.each([
  ["nothing", [], "00" + "00000000"],
  ["an exact zero, of two items", [1, -1], "00" + "00000004"],
  ["1", [1], "01000101" + "00000002"],
  ["−6 is 3·2^1", [-6], "02020103" + "00000002"],
  ["0.75 is 3·2^-2", [0.75], "01030103" + "00000002"],
  ["the smallest float64 is 2^-1074", [2 ** -1074], "01e3100101" + "00000002"],
  [
    "specials are counted",
    [Number.NaN, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1],
    "01000101" + "0204020a",
  ],
])("%s has the bytes of docs/state-format.md", (_, terms, expected) => {
  expect(hex(bytesOf(sumOf(...terms)))).toBe(expected);
});

test("sums of the same terms have the same bytes, and those are read again", () => {
  const r = random(7);
  for (let k = 0; k < 300; k++) {
    const terms = [...r.numbers(r.int(12), r.pick(["plain", "cancelling", "specials", "integers"]))];
    const one = sumOf(...terms);
    const other = new ExactSum();
    // In another order, with a detour that is taken back.
    other.addProduct(1e300, 1e300);
    for (const x of terms.toReversed()) other.addProduct(x, 1);
    other.subtractProduct(1e300, 1e300);
    expect(hex(bytesOf(other))).toBe(hex(bytesOf(one)));
    const from = new ByteReader(bytesOf(one));
    const again = readExact(from);
    from.end();
    expect([again.value(), again.parts()]).toStrictEqual([one.value(), one.parts()]);
  }
});

test("counts may be negative inside a state (clause 8)", () => {
  const sum = new ExactSum();
  sum.subtract(Number.NEGATIVE_INFINITY);
  sum.subtract(Number.NaN);
  expect(hex(bytesOf(sum))).toBe("0001000103");
  expect(readExact(new ByteReader(bytesOf(sum))).parts()).toEqual(sum.parts());
});

test("the largest and the smallest products fit (clause 9)", () => {
  const sum = new ExactSum();
  sum.addProduct(Number.MAX_VALUE, Number.MAX_VALUE);
  sum.addProduct(5e-324, -5e-324);
  expect(readExact(new ByteReader(bytesOf(sum))).parts()).toEqual(sum.parts());
});

describe("bytes of another form are refused", () => {
  const long = Array.from({ length: 534 }, () => 255);
  test.each([
    ["a sign that is none", [3, 0, 0, 0, 0], "the sign 3"],
    ["an even M", [1, 0, 1, 2, 0, 0, 0, 0], "not odd"],
    ["an M with a leading zero byte", [1, 0, 2, 1, 0, 0, 0, 0, 0], "leading zero byte"],
    ["an M of no bytes", [1, 0, 0, 0, 0, 0, 0], "not odd"],
    ["an exponent below −2148", [1, 0xc9, 0x21, 1, 1, 0, 0, 0, 0], "the exponent -2149"],
    ["an exponent of 2112", [1, 0x80, 0x21, 1, 1, 0, 0, 0, 0], "the exponent 2112"],
    ["an M longer than any sum", [1, 0, 0x96, 4, ...long, 0, 0, 0, 0], "an M of 534 bytes"],
    ["an M of more bytes than there are", [1, 0, 9, 1, 0, 0], "9 bytes announced"],
    ["a sum of 2^2112", [1, 0xfe, 0x20, 1, 3, 0, 0, 0, 0], "2^2112 or more"],
    ["counts that are not there", [0, 0, 0, 0], "ends early"],
  ])("%s", async (_, bytes, problem) => {
    expect(await failing(() => readExact(new ByteReader(Uint8Array.from(bytes))))).toMatchObject({
      code: "ERR_FOURFOLD_STATE",
      message: expect.stringContaining(problem),
    });
  });

  test("while 2^2112 less one bit is a sum", () => {
    expect(readExact(new ByteReader(Uint8Array.of(1, 0xfe, 0x20, 1, 1, 0, 0, 0, 0))).parts()).toMatchObject({ m: 1n, exponent: 2111 });
  });
});

test("integers are bytes, lowest first", () => {
  for (const n of [1n, 255n, 256n, 2n ** 64n, 2n ** 64n - 1n, 0x123456789abcdef123n]) expect(fromLittleEndian(littleEndian(n))).toBe(n);
  expect([...littleEndian(0x10203n)]).toEqual([3, 2, 1]);
  expect(fromLittleEndian(new Uint8Array(0))).toBe(0n);
});
