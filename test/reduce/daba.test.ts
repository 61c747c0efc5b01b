import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DabaLite } from "../../src/reduce/daba.ts";
import { Ring } from "../../src/reduce/ring.ts";
import { random } from "../random.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 300);

/** A semigroup: how two partials combine, and what a child is. Neither commutes. */
interface Semigroup<S> {
  readonly combine: (left: S, right: S) => S;
  readonly child: (i: number) => S;
}

const words: Semigroup<string> = { combine: (left, right) => left + right, child: (i) => `${i},` };

type Matrix = readonly [bigint, bigint, bigint, bigint];
const matrices: Semigroup<Matrix> = {
  combine: ([a, b, c, d], [e, f, g, h]) => [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h],
  child: (i) => [BigInt(i % 7) - 3n, 1n, BigInt(i % 5), BigInt(i % 3) - 1n],
};

/** A window and, beside it, its children in an array. */
class Twin<S> {
  combined = 0;
  readonly children: S[] = [];
  readonly window: DabaLite<S>;
  readonly #of: Semigroup<S>;
  #next = 0;

  constructor(of: Semigroup<S>) {
    this.#of = of;
    this.window = new DabaLite<S>(
      (left, right) => {
        this.combined++;
        return of.combine(left, right);
      },
      new Ring((length) => new Array<S>(length)),
    );
  }

  insert(): void {
    const child = this.#of.child(this.#next++);
    this.children.push(child);
    this.window.insert(child);
  }

  evict(): void {
    this.children.shift();
    this.window.evict();
  }

  /** The children combined one after another. */
  folded(): S | undefined {
    return this.children.length === 0 ? undefined : this.children.reduce(this.#of.combine);
  }
}

/** Random operations: true inserts, false evicts where there is a child. Runs of either are as likely as changes. */
const operations = fc
  .array(fc.record({ insert: fc.boolean(), times: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 })) }), { maxLength: 60 })
  .map((runs) => runs.flatMap(({ insert, times }) => new Array<boolean>(times).fill(insert)));

describe.each([
  ["strings", words],
  ["2 × 2 matrices", matrices],
] as [string, Semigroup<unknown>][])("DABA Lite over %s", (_, semigroup) => {
  test("is the fold of its children, oldest on the left, after every insert and evict", () => {
    fc.assert(
      fc.property(operations, (steps) => {
        const twin = new Twin(semigroup);
        for (const insert of steps) {
          if (insert) twin.insert();
          else if (twin.window.length > 0) twin.evict();
          expect(twin.window.length).toBe(twin.children.length);
          expect(twin.window.query()).toStrictEqual(twin.folded());
        }
      }),
      { numRuns: Math.ceil(RUNS / 10), seed: 1 },
    );
  });
});

describe("DABA Lite", () => {
  /** The most combinations of one operation of each kind, over windows that reach about n children. */
  function most(n: number): { insert: number; evict: number; query: number } {
    const twin = new Twin<number>({ combine: Math.max, child: (i) => i });
    const r = random(n);
    const counts = { insert: 0, evict: 0, query: 0 };
    const count = (what: keyof typeof counts, work: () => void): void => {
      twin.combined = 0;
      work();
      counts[what] = Math.max(counts[what], twin.combined);
    };
    const steps: boolean[] = [
      ...new Array<boolean>(n).fill(true),
      ...Array.from({ length: 4 * n }, (_, i) => i % 2 === 0), // slides
      ...Array.from({ length: 4 * n }, () => r.int(2) === 0),
      ...new Array<boolean>(8 * n).fill(false),
    ];
    for (const insert of steps) {
      if (insert) count("insert", () => twin.insert());
      else if (twin.window.length > 0) count("evict", () => twin.evict());
      count("query", () => twin.window.query());
    }
    return counts;
  }

  test.each([20, 300, 3000])("combines at most 3 times for an insert, 2 for an evict and 1 for a query: %d children", (n) => {
    expect(most(n)).toEqual({ insert: 3, evict: 2, query: 1 });
  });

  test("holds one partial for each child, and two more", () => {
    const slots: number[] = [];
    const ring = new Ring<string>((length) => {
      slots.push(length);
      return new Array(length);
    });
    const window = new DabaLite(words.combine, ring);
    for (let i = 0; i < 1000; i++) window.insert("x");
    expect(ring.length).toBe(1000);
    expect(slots).toEqual([16, 32, 64, 128, 256, 512, 1024]);
  });

  test("goes on after it was emptied", () => {
    const twin = new Twin(words);
    for (let n = 0; n < 40; n++) {
      for (let i = 0; i < n; i++) twin.insert();
      for (let i = 0; i < n; i++) {
        expect(twin.window.query()).toBe(twin.folded());
        twin.evict();
      }
      expect(twin.window.query()).toBeUndefined();
    }
  });
});

describe("a ring", () => {
  test("keeps items at their positions while it doubles and halves", () => {
    const sizes: number[] = [];
    const ring = new Ring<number>((length) => {
      sizes.push(length);
      return new Float64Array(length);
    });
    for (let i = 0; i < 100; i++) ring.push(i);
    for (let i = 0; i < 98; i++) expect(ring.shift()).toBe(i);
    expect([ring.begin, ring.end, ring.length]).toEqual([98, 100, 2]);
    expect([ring.get(98), ring.get(99)]).toEqual([98, 99]);
    expect(sizes).toEqual([16, 32, 64, 128, 64, 32, 16]);
  });
});
