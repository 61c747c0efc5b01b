// Bugs to plant, and the tests that must notice each (scripts/mutations.mjs). `from` stands once in `file`.

const KERNELS = { files: ["test/kernels.test.ts"], only: "exact" };

export const MUTATIONS = [
  // The superaccumulator.
  { name: "a dropped carry", file: "assembly/accumulator.ts", from: "over = v >> 32;", to: "over = v >> 32 & ~1;", caughtBy: KERNELS },
  {
    name: "ties to away",
    file: "assembly/accumulator.ts",
    from: "let sticky = (m & 1) |",
    to: "let sticky = (1 as u64) |",
    caughtBy: KERNELS,
  },
  {
    name: "ties to zero",
    file: "assembly/accumulator.ts",
    from: "let sticky = (m & 1) |",
    to: "let sticky = (0 as u64) |",
    caughtBy: KERNELS,
  },
  {
    name: "a lost sticky flag below the chunk",
    file: "assembly/accumulator.ts",
    from: "for (let p = chunks; !sticky && p < rest; p += 8) sticky = load<u64>(p);",
    to: "",
    caughtBy: KERNELS,
  },
];
