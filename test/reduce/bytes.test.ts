import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter, isWellFormed } from "../../src/reduce/bytes.ts";
import { crc32 } from "../../src/reduce/crc.ts";
import { failing } from "../failing.ts";

const write = (how: (to: ByteWriter) => void): Uint8Array => {
  const to = new ByteWriter();
  how(to);
  return to.finish();
};

const whole = <T>(bytes: Uint8Array, how: (from: ByteReader) => T): T => {
  const from = new ByteReader(bytes);
  const value = how(from);
  from.end();
  return value;
};

const refuses = async (bytes: readonly number[], how: (from: ByteReader) => unknown, problem: string): Promise<void> =>
  expect(await failing(() => whole(Uint8Array.from(bytes), how))).toMatchObject({
    code: "ERR_FOURFOLD_STATE",
    message: expect.stringContaining(problem),
  });

describe("what is written is read again", () => {
  test("unsigned integers, in as few groups of seven bits as hold them", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.maxSafeNat(),
          fc.nat(300),
          fc.nat(53).map((n) => 2 ** n - 1),
        ),
        (n) => {
          const bytes = write((to) => to.unsigned(n));
          expect(whole(bytes, (from) => from.unsigned())).toBe(n);
          expect(bytes.length).toBe(Math.max(1, Math.ceil(n.toString(2).length / 7)));
        },
      ),
    );
  });

  test.each([0, -1, 1, 63, 64, -64, -65, 2 ** 52 - 1, -(2 ** 52)])("the signed integer %s", (n) => {
    expect(
      whole(
        write((to) => to.signed(n)),
        (from) => from.signed(),
      ),
    ).toBe(n);
  });

  test("text and float64 values, −0 and NaN among them", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.double(), (text, x) => {
        const bytes = write((to) => {
          to.text(text);
          to.float(x);
        });
        expect(whole(bytes, (from) => [from.text(), from.float()])).toStrictEqual([text, x]);
      }),
    );
    expect([...write((to) => to.float(new Float64Array(BigUint64Array.of(0xfff8000000000001n).buffer)[0]!))]).toEqual([
      0, 0, 0, 0, 0, 0, 0xf8, 0x7f,
    ]);
  });

  test("a byte order mark in front of a text", () => {
    expect(
      whole(
        write((to) => to.text("\uFEFFx")),
        (from) => from.text(),
      ),
    ).toBe("\uFEFFx");
  });
});

describe("what is in another form is refused", () => {
  test.each<[string, number[], (from: ByteReader) => unknown, string]>([
    ["an integer with a group too many", [0x81, 0x00], (from) => from.unsigned(), "not in its shortest form"],
    ["zero in two groups", [0x80, 0x00], (from) => from.unsigned(), "not in its shortest form"],
    ["2^53", [128, 128, 128, 128, 128, 128, 128, 16], (from) => from.unsigned(), "2^53 or more"],
    ["an integer of nine groups", [128, 128, 128, 128, 128, 128, 128, 128, 1], (from) => from.unsigned(), "2^53 or more"],
    ["an integer of 200 groups", [...Array.from({ length: 199 }, () => 128), 1], (from) => from.unsigned(), "2^53 or more"],
    ["an integer without an end", [0x80], (from) => from.unsigned(), "ends early"],
    ["a text longer than the bytes", [5, 65], (from) => from.text(), "5 bytes announced, 1 left"],
    ["a text that is not UTF-8", [1, 0xff], (from) => from.text(), "not UTF-8"],
    ["half of a surrogate pair", [3, 0xed, 0xa0, 0x80], (from) => from.text(), "not UTF-8"],
    ["a float64 of seven bytes", [0, 0, 0, 0, 0, 0, 0], (from) => from.float(), "ends early"],
    ["a NaN with a payload", [1, 0, 0, 0, 0, 0, 0xf8, 0x7f], (from) => from.float(), "NaN with other bits"],
    ["a negative NaN", [0, 0, 0, 0, 0, 0, 0xf8, 0xff], (from) => from.float(), "NaN with other bits"],
    ["more entries than bytes", [100, 0, 0], (from) => from.count(2), "100 entries announced, 2 bytes left"],
    ["bytes after the end", [1, 2], (from) => from.byte(), "1 bytes too many"],
  ])("%s", (_, bytes, how, problem) => refuses(bytes, how, problem));

  test.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])("the writer refuses %s as a count", async (n) => {
    expect(await failing(() => write((to) => to.unsigned(n)))).toMatchObject({ code: "ERR_FOURFOLD_STATE" });
  });
});

test("half a surrogate pair is no text that UTF-8 can say", () => {
  expect(["", "a\u{1F600}", "\uFF5E", "\ud83d", "a\ude00b", "\ude00\ud83d"].map(isWellFormed)).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});

test("the checksum is that of zlib", () => {
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  expect(crc32(new Uint8Array(0))).toBe(0);
});
