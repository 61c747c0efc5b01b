/** Streams that are offered ten times what their consumer takes: how much memory a process of theirs takes. FOURFOLD_SECONDS says how long. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { outputOf, ROOT, runNode } from "../child.ts";

const FLOODS = join(ROOT, "test/stream/floods.mjs");

/** For each case; CI has a minute, the soak ten. */
const SECONDS = Number(process.env["FOURFOLD_SECONDS"] ?? 1);

/** V8 leaves garbage lying until it nears the heap's limit, which is gigabytes on a large machine: a leak of records would end the process here. */
const FLAGS = ["--max-old-space-size=64", "--expose-gc"];

/** How long it takes to tell growth from noise: of what is in use after a garbage collection, and of the whole process. */
const LIVE_SECONDS_MIN = 60;
const RSS_SECONDS_MIN = 600;

/** What floods.mjs prints. */
interface Flood {
  readonly bound: "memoryBytesMax" | "queueBytesMax";
  readonly boundMiB: number;
  readonly baselineMiB: number;
  readonly peakMiB: number;
  readonly slopeMiBPerMinute: number;
  readonly liveSlopeMiBPerMinute: number;
  readonly sent: number;
  readonly rowsIn: number;
  readonly dropped: number;
  readonly queueMiB: number;
}

const CASES = {
  "frames in a ring, block": "memoryBytesMax",
  "frames in a ring, latest": "memoryBytesMax",
  "frames in blocks, block": "memoryBytesMax",
  "frames in blocks, latest": "memoryBytesMax",
  "keyed records in blocks, block": "queueBytesMax",
  "keyed records in blocks, latest": "queueBytesMax",
  "keyed records one by one, latest": "queueBytesMax",
} as const;

describe(`a producer ten times too fast, ${SECONDS} s`, () => {
  for (const [name, bound] of Object.entries(CASES)) {
    const slope = SECONDS >= LIVE_SECONDS_MIN ? ", and stops growing" : "";
    // Each in a process of its own; side by side only where minutes would add up.
    const run = SECONDS >= LIVE_SECONDS_MIN ? test.concurrent : test;
    run(`${name}: memory stays within ${bound}${slope}, and every row is counted`, { timeout: 1000 * (4 * SECONDS + 120) }, async () => {
      const flood = JSON.parse(
        await outputOf(runNode([...FLAGS, FLOODS, name, `${SECONDS}`], { timeoutMs: 1000 * (SECONDS + 100) })),
      ) as Flood;
      expect(flood.bound).toBe(bound);
      expect(flood.queueMiB).toBeLessThanOrEqual(flood.boundMiB);
      expect(flood.peakMiB).toBeLessThanOrEqual(flood.baselineMiB + 1.25 * flood.boundMiB + 64);
      if (SECONDS >= LIVE_SECONDS_MIN) expect(flood.liveSlopeMiBPerMinute).toBeLessThanOrEqual(1);
      if (SECONDS >= RSS_SECONDS_MIN) expect(flood.slopeMiBPerMinute).toBeLessThanOrEqual(1);
      expect(flood.rowsIn + flood.dropped).toBe(flood.sent);
      if (name.endsWith("block")) expect(flood.dropped).toBe(0);
      expect(flood.sent).toBeGreaterThan(0);
    });
  }
});
