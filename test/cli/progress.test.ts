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
  for (const [columns, line] of [
    [60, "[############............]  50 %  1 of 2 records"],
    [40, "[#######........]  50 %  1 of 2 records"],
    [24, " 50 %  1 of 2 records"],
    [20, " 50 %  1 of 2 recor"],
  ] as const) {
    const narrow = terminal(true, columns);
    progressBar(narrow, false, () => 0).show({ done: 1, total: 2, unit: "records" });
    expect(narrow.text).toBe(`\r${line}\x1b[K`);
  }
});

/** The last line that a bar has drawn after these reports: milliseconds, what is done and of how much. */
function lineAfter(
  reports: readonly (readonly [number, number, number | undefined])[],
  unit: "bytes" | "records" | "parts",
  columns = 200,
): string {
  const stderr = terminal(true, columns);
  let now = 0;
  const bar = progressBar(stderr, false, () => now);
  for (const [at, done, total] of reports) {
    now = at;
    bar.show({ done, total, unit });
  }
  return stderr.text.slice(stderr.text.lastIndexOf("\r") + 1).replace("\x1b[K", "");
}

const half = "[############............]  50 %";

test.each([
  [
    "records",
    [
      [0, 0, 4000],
      [1000, 2000, 4000],
    ],
    `${half}  2,000 of 4,000 records  2,000 records/s  1 s left`,
  ],
  [
    "bytes",
    [
      [0, 0, 4 << 20],
      [1000, 2 << 20, 4 << 20],
    ],
    `${half}  2.0 MiB of 4.0 MiB  2.0 MiB/s  1 s left`,
  ],
  [
    "bytes",
    [
      [0, 0, 3 * 2 ** 30],
      [1000, 1000, 3 * 2 ** 30],
    ],
    `[${".".repeat(24)}]   0 %  1000 B of 3.0 GiB  1000 B/s  894 h 48 min left`,
  ],
  [
    "parts",
    [
      [0, 0, 100],
      [10_000, 5, 100],
    ],
    `[#${".".repeat(23)}]   5 %  5 of 100 parts  0.50 parts/s  3 min 10 s left`,
  ],
  [
    "records",
    [
      [0, 1000, 4000],
      [1000, 2000, 4000],
    ],
    `${half}  2,000 of 4,000 records  1,000 records/s  2 s left`,
  ],
  [
    "records",
    [
      [0, 0, 4000],
      [1000, 4000, 4000],
    ],
    `[${"#".repeat(24)}] 100 %  4,000 of 4,000 records  4,000 records/s`,
  ],
] as const)("%s: done, rate, and time left where the total is known: %j", (unit, reports, expected) => {
  expect(lineAfter(reports as never, unit)).toBe(expected);
});

test("without a total there is a rate, and no time left", () => {
  expect(
    lineAfter(
      [
        [0, 0, undefined],
        [2000, 5_000_000, undefined],
      ],
      "records",
    ),
  ).toBe("5,000,000 records  2,500,000 records/s");
  expect(
    lineAfter(
      [
        [0, 0, undefined],
        [2000, 5_000_000, undefined],
      ],
      "bytes",
    ),
  ).toBe("4.8 MiB  2.4 MiB/s");
  expect(
    lineAfter(
      [
        [0, 0, 0],
        [2000, 5, 0],
      ],
      "parts",
    ),
  ).toBe("5 parts  3 parts/s");
});

test("a rate is of the step under way, and of enough time", () => {
  expect(
    lineAfter(
      [
        [0, 0, 4000],
        [100, 2000, 4000],
      ],
      "records",
    ),
  ).toBe(`${half}  2,000 of 4,000 records`);
  // The query has ended, and its result is copied: another step, although it counts records, too.
  expect(
    lineAfter(
      [
        [0, 0, 4000],
        [1000, 4000, 4000],
        [2000, 1000, 4000],
        [3000, 2000, 4000],
      ],
      "records",
    ),
  ).toBe(`${half}  2,000 of 4,000 records  1,000 records/s  2 s left`);
  expect(
    lineAfter(
      [
        [0, 0, 4000],
        [1000, 2000, 4000],
        [2000, 2000, 8000],
      ],
      "records",
    ),
  ).toBe("[######..................]  25 %  2,000 of 8,000 records");
  expect(
    lineAfter(
      [
        [0, 2000, 4000],
        [1000, 2000, 4000],
      ],
      "records",
    ),
  ).toBe(`${half}  2,000 of 4,000 records`);
});
