// Speed per byte by the length of the rows, one thread: short rows have little work to hide their ends in.
import { chain, createEngine, weightedSum } from "../../dist/index.js";
import { fillData, fillWeights, ground } from "../harness/ground.mjs";
import { interleave, speedOf } from "../harness/interleave.mjs";
import { checkRatio } from "../harness/report.mjs";

const LENGTHS = [4, 8, 16, 32, 64, 128, 512, 2048, 4096];
const TARGETS = { 64: 0.65, 16: 0.4 };

/** Rows of one kernel call: what the engine gives it, so that results stay in cache. */
const ROWS_PER_CALL = 1024;

export default async function rowsSuite({ quick }) {
  const bytes = (quick ? 64 : 256) * 2 ** 20;
  const engine = await createEngine({ workers: 0, memoryBytesMax: 2 ** 33 });
  try {
    const bare = ground({ dataBytes: bytes, outputs: ROWS_PER_CALL });
    bare.fill("f32");
    const kernel = bare.kernels.dense("weightedSum", "f32");
    const { at } = bare;
    const x = engine.tensor([bytes / 4], "f32");
    fillData(x.data);

    const ways = {
      kernel: (length) => {
        const rows = bytes / 4 / length;
        return () => {
          for (let row = 0; row < rows; row += ROWS_PER_CALL)
            kernel(at.data + 4 * length * row, Math.min(ROWS_PER_CALL, rows - row), length, at.weights, 0, at.out, at.scratch);
        };
      },
      "one level": (length) => {
        const plan = engine.plan(chain(weightedSum(weights(length))), { shape: [bytes / 4 / length, length], dtype: "f32" });
        return () => plan.runSync(x);
      },
      // As in a fused chain: the rows' values are used at once and never stored.
      "two levels": (length) => {
        const plan = engine.plan(chain(weightedSum(weights(length)), weightedSum(weights(1024))), {
          shape: [bytes / 4 / length / 1024, 1024, length],
          dtype: "f32",
        });
        return () => plan.runSync(x);
      },
    };
    const cases = LENGTHS.flatMap((length) =>
      Object.entries(ways).map(([way, make]) => ({ name: `rows of ${length}, ${way}`, run: make(length) })),
    );
    const measured = await interleave(cases, { samples: quick ? 7 : 31, warmups: 2 });
    for (const c of measured) c.bytes = bytes;
    const of = (length, way) => measured.find((c) => c.name === `rows of ${length}, ${way}`);
    const checks = Object.keys(ways).flatMap((way) =>
      LENGTHS.filter((length) => length !== 512).map((length) =>
        checkRatio(
          `${way}: rows of ${length} against rows of 512`,
          speedOf(of(length, way), of(512, way)),
          TARGETS[length] ? { atLeast: TARGETS[length] } : {},
        ),
      ),
    );
    return {
      cases: measured,
      checks,
      notes: [
        `working set ${bytes / 2 ** 20} MiB of f32, shared weights, one thread; "kernel" is ${ROWS_PER_CALL} rows a call`,
        "one level also stores a float64 for each row: for rows of 4, half as many bytes as it reads",
      ],
    };
  } finally {
    await engine.close();
  }
}

function weights(length) {
  return fillWeights(new Float64Array(length));
}
