import type { ViteUserConfig } from "vitest/config";

// Two groups, one after the other. Most files run side by side. Files named *.alone.test.ts measure time, start many workers or
// take gigabytes: they have the machine to themselves, one file at a time.
const config: ViteUserConfig = {
  test: {
    pool: "forks",
    allowOnly: false,
    // One process for each core; vitest would leave one core idle.
    maxWorkers: "100%",
    // What this machine was measured at decides no test.
    env: { FOURFOLD_CALIBRATION: "off" },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: { name: "together", include: ["test/**/*.test.ts"], exclude: ["test/**/*.alone.test.ts"], sequence: { groupOrder: 0 } },
      },
      { extends: true, test: { name: "alone", include: ["test/**/*.alone.test.ts"], fileParallelism: false, sequence: { groupOrder: 1 } } },
    ],
  },
};
export default config;
