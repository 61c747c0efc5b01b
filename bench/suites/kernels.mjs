// Every kernel of the table × its dtypes × row lengths, in cache: what the instructions cost, memory apart.
import { KERNELS } from "../../dist/backends/kernels.js";
import { everyday, printEveryday } from "../harness/everyday.mjs";
import { bytesOf, ground } from "../harness/ground.mjs";

const LENGTHS = [4, 16, 64, 512, 4096];

/** Data of one call: small enough for the second-level cache. */
const BYTES = 2 ** 18;

export default async function kernelsSuite({ quick }) {
  const results = [];
  const { kernels, at, fill } = ground({ dataBytes: BYTES, outputs: BYTES / 4 });
  const dtypes = [...new Set(KERNELS.flatMap(({ dtypes }) => dtypes))];
  for (const dtype of dtypes) {
    fill(dtype);
    const families = KERNELS.filter((kernel) => kernel.dtypes.includes(dtype));
    const cases = families.flatMap(({ family }) =>
      (quick ? [512] : LENGTHS).map((length) => {
        const kernel = kernels.dense(family, dtype);
        const rows = BYTES / bytesOf(dtype) / length;
        return {
          name: `${family} ${dtype}, rows of ${length}`,
          bytes: BYTES,
          run: () => kernel(at.data, rows, length, at.weights, 0, at.out, at.scratch),
        };
      }),
    );
    const each = await everyday(`kernels: ${dtype}`, cases, { quick });
    printEveryday(each);
    results.push(...each);
  }
  return { everyday: results, notes: [`${BYTES / 1024} KiB of data again and again, from cache`] };
}
