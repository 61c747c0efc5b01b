// Bugs to plant, and the tests that must notice each (scripts/mutations.mjs). `from` stands once in `file`.

const KERNELS = { files: ["test/exact-kernels.test.ts", "test/kernels.test.ts"], only: "exact|certificates|tie|outlier" };
const ACCUMULATOR = { files: ["test/backends/accumulator.test.ts"] };
const EXACT = { files: ["test/reduce/exact.test.ts", "test/reduce/exact.laws.test.ts"] };
const CODEC = {
  files: ["test/reduce/encode.test.ts", "test/reduce/bytes.test.ts", "test/reduce/provenance.test.ts", "test/reduce/codec.test.ts"],
};
const SUMS = { files: ["test/reduce/sums.test.ts", "test/reduce/exact.oracle.test.ts"] };
const STATES = { files: ["test/state.test.ts", "test/state.python.test.ts", "test/contract.test.ts"] };
const WINDOWS = { files: ["test/reduce/window.test.ts", "test/reduce/daba.test.ts"] };
const STREAMS = { files: ["test/stream/stream.test.ts"] };
const EVENT_TIME = { files: ["test/stream/windows.test.ts"] };
const LIVE = { files: ["test/live.test.ts", "test/reduce/live-extremes.test.ts"] };
const BY_KEY = { files: ["test/weights-by-key.test.ts"] };

const bug = (name, file, from, to, caughtBy) => ({ name, file, from, to, caughtBy });

export const MUTATIONS = [
  // The superaccumulator.
  bug("a dropped carry", "assembly/accumulator.ts", "over = v >> 32;", "over = (v >> 32) & ~1;", KERNELS),
  bug("ties to away", "assembly/accumulator.ts", "let sticky = (m & 1) |", "let sticky = (1 as u64) |", KERNELS),
  bug("ties to zero", "assembly/accumulator.ts", "let sticky = (m & 1) |", "let sticky = (0 as u64) |", KERNELS),
  bug("a lost sticky flag", "assembly/accumulator.ts", "!sticky && p < rest; p += 8", "!sticky && p < rest - 8; p += 8", KERNELS),
  bug("a sticky flag that forgets its own chunk", "assembly/accumulator.ts", "(mask - 1))", "(mask >> 1))", KERNELS),
  bug("a negative sum whose sign is lost", "assembly/accumulator.ts", "sign = 1 << 63;", "sign = 0;", KERNELS),
  bug("subnormal sums rounded as normal ones", "assembly/accumulator.ts", "max(highest - 52, -1074 - LOWEST)", "highest - 52", KERNELS),
  bug("a subnormal child read as a normal one", "assembly/accumulator.ts", "<u64>(field(bits) != 0) << 52", "(1 as u64) << 52", KERNELS),
  bug("overflow that does not become infinity", "assembly/accumulator.ts", "highest + LOWEST > 1023", "highest + LOWEST > 1024", KERNELS),
  bug("a product without one of its cross terms", "assembly/accumulator.ts", "ml * nh + mh * nl", "ml * nh", KERNELS),
  bug("the top of a shifted word lost", "assembly/accumulator.ts", "(low >> 32) + (high & LOW32)", "high & LOW32", KERNELS),

  // The rounding test and the three terms.
  bug("a rounding test without its bound", "assembly/exact.ts", "f64x2.sub(low, bound)", "f64x2.sub(low, f64x2.splat(0))", KERNELS),
  bug(
    "a bound a thousand times too small",
    "assembly/exact.ts",
    "BOUND: f64 = 4.440892098500626e-16",
    "BOUND: f64 = 4.336808689942018e-19",
    KERNELS,
  ),
  bug("lanes joined without their lower words", "assembly/exact.ts", "all = f64x2.add(lower, t);\n    r =", "all = t;\n    r =", KERNELS),
  bug("losses that are forgotten", "assembly/exact.ts", "v128.or(r, sumError(c, t, lower))", "r", KERNELS),
  bug("three terms rounded twice", "assembly/exact.ts", "if (!(bits & 1)) v =", "if (bits & 1) v =", KERNELS),
  bug("the error of a tiny product taken for exact", "assembly/exact.ts", "if (abs(p) < PRODUCT_MIN &&", "if (false &&", KERNELS),
  bug(
    "0 × Infinity that counts for nothing",
    "assembly/exact.ts",
    "if (a - a != 0 || b - b != 0) special",
    "if (a - a != 0 && b - b != 0) special",
    KERNELS,
  ),

  // Certificates and bins.
  bug("one bin for too many bits", "assembly/bins.ts", "e + k - l <= 53 &&", "e + k - l <= 55 &&", KERNELS),
  bug("two bins for too many bits", "assembly/bins.ts", "m + k - l <= 106 &&", "m + k - l <= 116 &&", KERNELS),
  bug("bins that lie too low", "assembly/bins.ts", "return max(e + k, -1000);", "return max(e + k - 4, -1000);", KERNELS),
  bug("a range that ignores the last values of a block", "assembly/range.ts", "n -= min(n, 4);\n    x += 16;", "n = 0;", KERNELS),
  bug(
    "an odd child's neighbour added, too",
    "assembly/bins.ts",
    "if (n & 1) {\n    t = v128.and(term<F>(pair<T, P0>(x), weights<F, P0>(w)), i64x2(-1, 0));",
    "if (n & 1) {\n    t = term<F>(pair<T, P0>(x), weights<F, P0>(w));",
    KERNELS,
  ),

  // Sums that outlive a call.
  bug(
    "a block without a certificate that is taken",
    "assembly/accumulate.ts",
    "if (numbers && !fitsTwoBins(m, lowestOf(range), k)) return false;",
    "",
    ACCUMULATOR,
  ),
  bug("a sum that is not put back", "assembly/accumulate.ts", "store<i64>(sum, c, 16);", "", ACCUMULATOR),

  // The definition, and groups.
  bug("a ratio rounded to even without its remainder", "src/reduce/exact.ts", "(sticky || (q & 1n) === 1n)", "((q & 1n) === 1n)", EXACT),
  bug("an odd integer that is not", "src/reduce/exact.ts", "zeros + bitLength(word) - 1", "zeros + bitLength(word) - 2", EXACT),
  bug("a merge that forgets the infinities", "src/reduce/exact.ts", "this.#positive += sign * other.#positive;", "", EXACT),
  bug(
    "a subtraction that adds its infinity",
    "src/reduce/exact.ts",
    "if (x > 0) this.#positive += sign;",
    "if (x > 0) this.#positive += 1;",
    EXACT,
  ),
  bug("a group that drops its lowest word", "src/reduce/sums.ts", "words[at + 2] = low;\n  return true;", "return true;", SUMS),
  bug("a tie that the lowest word should break", "src/reduce/sums.ts", "low > 0 === middle > 0", "low > 0 !== middle > 0", SUMS),
  bug(
    "a tiny product's error taken for exact in a group",
    "src/reduce/sums.ts",
    "product < PRODUCT_MIN && product > -PRODUCT_MIN",
    "product === 0",
    SUMS,
  ),

  // The codec and what states have read.
  bug("a count that loses its sign", "src/reduce/bytes.ts", "-2 * value - 1", "-2 * value", CODEC),
  bug(
    "a checksum of less than all",
    "src/reduce/codec.ts",
    "const crc = crc32(to.finish());",
    "const crc = crc32(to.finish().subarray(8));",
    CODEC,
  ),
  bug(
    "a signature that is not compared",
    "src/reduce/codec.ts",
    "if (sign && !equal(",
    "if (sign && equal === undefined && !equal(",
    STATES,
  ),
  bug("an even M that is read", "src/reduce/encode.ts", " || (magnitude[0]! & 1) === 0", "", CODEC),
  bug("weights that are not compared", "src/reduce/codec.ts", "if (!hashing.equal(weights, hashes[1]))", "if (false)", STATES),
  bug(
    "an overlap taken for a replay",
    "src/reduce/provenance.ts",
    "else if (met[0] > from || met[1] < to)",
    "else if (met[0] > from && met[1] < to)",
    CODEC,
  ),
  bug(
    "intervals that touch and stay two",
    "src/reduce/provenance.ts",
    "if (last?.[1] === from) last[1] = to;",
    "if (last?.[1] === from + 1) last[1] = to;",
    CODEC,
  ),

  // Windows.
  bug("a weight that stays behind", "src/reduce/window-contents.ts", "this.#weights ? this.#weights.shift() : 1", "1", WINDOWS),
  bug("a flip that keeps the old aggregate", "src/reduce/daba.ts", "this.#aggRA = this.#aggB;", "", WINDOWS),

  // Streams and live trees.
  bug("rows of a piece that a checkpoint forgets", "src/stream/positions.ts", "rows: this.#at[source]!.rows + rows", "rows", STREAMS),
  bug("rows that are dropped and not counted", "src/stream/intake.ts", "this.#dropped += gone;", "this.#dropped += 1;", STREAMS),
  bug(
    "weights that hold from a moment later",
    "src/stream/versions.ts",
    "change.from <= start && !holding",
    "change.from < start && !holding",
    STREAMS,
  ),
  bug("a frame of which nothing is kept, taken for 0", "src/streams.ts", "count === 0 ? Number.NaN : value", "value", STREAMS),
  bug(
    "a record let in when its window has closed",
    "src/stream/windows.ts",
    "this.#setup.windowing.lateness <= this.#watermark;\n  }",
    "this.#setup.windowing.lateness < this.#watermark;\n  }",
    EVENT_TIME,
  ),
  bug(
    "an exchange that forgets what the first word lost",
    "src/reduce/sums.ts",
    "const l = a - (h - x1) + (-x - x1);",
    "const l = 0;",
    SUMS,
  ),
  bug(
    "a tournament that stops too early",
    "src/reduce/live-extremes.ts",
    "for (let place = at >> 1; place > 0; place >>= 1) {\n      const winner",
    "for (let place = at >> 1; place > 1; place >>= 1) {\n      const winner",
    LIVE,
  ),
  bug(
    "a key alone that goes before a path",
    "src/reduce/weights.ts",
    "places.get(pathId(path)) ?? places.get(pathId(path.slice(-1)))",
    "places.get(pathId(path.slice(-1))) ?? places.get(pathId(path))",
    BY_KEY,
  ),
];
