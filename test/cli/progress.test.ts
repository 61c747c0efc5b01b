// The bar: on a terminal one line that is gone at the end, elsewhere nothing.
import { expect, test } from "vitest";
import { progressBar } from "../../src/cli/progress.ts";

function terminal(isTTY: boolean, columns = 80): { isTTY: boolean; columns: number; text: string; write(text: string): void } {
  return {
    isTTY,
    columns,
    text: "",
    write(text) {
      this.text += text;
    },
  };
}

test("a pipe gets no bar, and no line unless it is asked for", () => {
  for (const [told, expected] of [
    [false, ""],
    [true, "reading x.json\n"],
  ] as const) {
    const stderr = terminal(false);
    const bar = progressBar(stderr, told);
    bar.begin("x.json");
    bar.show({ done: 1, total: 2, unit: "records" });
    bar.end();
    expect(stderr.text).toBe(expected);
  }
});

test("a terminal shows how far the work is, seldom, and a clear line at the end", () => {
  const stderr = terminal(true);
  let now = 0;
  const bar = progressBar(stderr, false, () => now);
  bar.begin("x.json");
  for (; now < 100; now++) bar.show({ done: now * 1000, total: 100_000, unit: "records" });
  expect(stderr.text.split("\r").length).toBe(1 + 3);
  expect(stderr.text).toContain("[############............]  50 %  50,000 of 100,000 records");
  bar.end();
  expect(stderr.text.endsWith("\r\x1b[K")).toBe(true);
});

test("a bar fits the terminal and bears a total that is not known", () => {
  const stderr = terminal(true, 20);
  const bar = progressBar(stderr, false, () => 0);
  bar.show({ done: 123_456, total: undefined, unit: "records" });
  expect(stderr.text).toBe("\r123,456 records\x1b[K");
  const long = terminal(true, 20);
  progressBar(long, false, () => 0).show({ done: 1, total: 2, unit: "records" });
  expect(long.text).toBe("\r[############......\x1b[K");
});
