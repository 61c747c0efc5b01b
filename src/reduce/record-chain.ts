/** What a chain over records must not have: an order, or weights of level f of its own. */
import { FourfoldError } from "../errors.ts";
import type { Chain } from "./chain.ts";
import { leafReduction } from "./layout.ts";

/** Refuses a chain that needs an order of records. @throws FourfoldError ERR_FOURFOLD_WEIGHTS, ERR_FOURFOLD_REDUCTION */
export function checkRecordChain(chain: Chain): void {
  const [first] = chain.levels;
  const { weights } = leafReduction(chain);
  const form = weights?.form;
  if (form === "shared" || form === "matrix" || form === "byKey")
    throw new FourfoldError(
      "ERR_FOURFOLD_WEIGHTS",
      `level "${first!.name}": records have ${form === "byKey" ? "no keys of their own" : "no order, so they cannot share a list of weights"}`,
      {
        given: form,
        expected: '{ perNode: [] } or "count"',
        fix: "Make the level with { perNode: [] }, and give one weight for each record: add({ values, keys, weights })",
        at: { level: first!.name },
      },
    );
  for (const { name, reduction } of chain.levels)
    if (reduction.user && !reduction.user.orderFree)
      throw new FourfoldError(
        "ERR_FOURFOLD_REDUCTION",
        `level "${name}": reduction "${reduction.name}" needs an order, and records have none`,
        {
          fix: "Define it with orderFree: true if the order of children cannot change its result",
          at: { level: name },
        },
      );
}
