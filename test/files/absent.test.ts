// Without the optional DuckDB package specs still load, and reading one says what to install.
import { expect, test, vi } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { loadSpec } from "../../src/files/index.ts";

vi.mock("@duckdb/node-api", () => {
  throw new Error("Cannot find package '@duckdb/node-api'");
});

test("without DuckDB, reading a spec names the command that installs it", async () => {
  const spec = await loadSpec("examples/flights.json");
  const error = await spec.read().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(FourfoldError);
  expect(error).toMatchObject({ code: "ERR_FOURFOLD_SOURCE", fix: "Install it: npm install @duckdb/node-api@1.5.6-r.1" });
});
