// A producer ten times too fast: what a stream's process grows to. The same programs as test/stream/overload.alone.test.ts runs.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { check } from "../harness/report.mjs";

const FLOODS = fileURLToPath(new URL("../../test/stream/floods.mjs", import.meta.url));

const CASES = [
  "frames in a ring, block",
  "frames in a ring, latest",
  "keyed records in blocks, block",
  "keyed records in blocks, latest",
  "keyed records one by one, latest",
];

/** As in the test: V8 leaves garbage lying until it nears the heap's limit. */
const FLAGS = ["--max-old-space-size=64", "--expose-gc"];

/** How long it takes to tell growth from noise: of what is in use after a garbage collection, and of the whole process. */
const LIVE_SECONDS_MIN = 60;
const RSS_SECONDS_MIN = 600;

/** FOURFOLD_SECONDS says how long each case takes. */
export default async function overloadSuite({ quick }) {
  const seconds = Number(process.env.FOURFOLD_SECONDS ?? (quick ? 3 : 60));
  const checks = CASES.flatMap((name) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [...FLAGS, FLOODS, name, String(seconds)], { encoding: "utf8" });
    if (status !== 0) throw new Error(`${name}: ${stderr}`);
    const { bound, boundMiB, baselineMiB, peakMiB, slopeMiBPerMinute, liveSlopeMiBPerMinute } = JSON.parse(stdout);
    const grown = check(
      `${name}: RSS over the baseline of ${Math.round(baselineMiB)} MiB, ${bound} ${boundMiB} MiB`,
      peakMiB - baselineMiB,
      {
        atMost: 1.25 * boundMiB + 64,
        unit: "MiB",
      },
    );
    const target = (secondsMin) => ({ unit: "MiB/min", ...(seconds >= secondsMin && { atMost: 1 }) });
    return [
      grown,
      check(`${name}: growth after warm-up of what is in use`, liveSlopeMiBPerMinute, target(LIVE_SECONDS_MIN)),
      check(`${name}: growth after warm-up of RSS`, slopeMiBPerMinute, target(RSS_SECONDS_MIN)),
    ];
  });
  return {
    checks,
    notes: [
      `${seconds} s for each case; a quarter of it is warm-up, the slope is that of medians of twelve spans after it; ${FLAGS.join(" ")}`,
    ],
  };
}
