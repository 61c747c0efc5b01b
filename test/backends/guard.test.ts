// Which failures of a device move a run to the kernels, and which are the caller's to know.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Executable, RunOutput } from "../../src/backends/backend.ts";
import { guarded } from "../../src/backends/guard.ts";
import { type ErrorCode, FourfoldError } from "../../src/errors.ts";
import { failing } from "../failing.ts";

const output = (value: number): RunOutput => ({
  levels: [{ values: Float64Array.of(value), outputs: 1, records: undefined }],
  processMs: 0,
  aggregateMs: 0,
});

let log: string[];
let failure: Error | undefined;
let givenUp: string | undefined;

function executable(name: string, value: number): Executable {
  return {
    runSync: undefined,
    run: async () => {
      log.push(`run ${name}`);
      if (name === "device" && failure) throw failure;
      return output(value);
    },
    close: () => void log.push(`close ${name}`),
  };
}

function guard(absentToo = false): Executable {
  const makeAtHome = (): Executable => {
    log.push("make home");
    return executable("home", 2);
  };
  return guarded(executable("device", 1), makeAtHome, {
    device: "gpu",
    givenUp: () => givenUp,
    absentToo,
    onSuccess: () => void log.push("success"),
    onFault: () => void log.push("fault"),
  });
}

const values = async (one: Executable): Promise<number[]> => Array.from((await one.run(new Float64Array(1), {})).levels[0]!.values);
const failed = (code: ErrorCode): FourfoldError => new FourfoldError(code, "it failed", { fix: "Try again" });

beforeEach(() => {
  log = [];
  failure = undefined;
  givenUp = undefined;
  vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
});

afterEach(() => void vi.restoreAllMocks());

describe("a run on a device", () => {
  test("stays there while the device works, and nothing is made at home", async () => {
    const one = guard();
    expect(await values(one)).toEqual([1]);
    one.close();
    expect(log).toEqual(["run device", "success", "close device"]);
    expect(process.emitWarning).not.toHaveBeenCalled();
  });

  test.each<[ErrorCode, string[]]>([
    ["ERR_FOURFOLD_DEVICE", ["fault"]],
    ["ERR_FOURFOLD_WORKER", ["fault"]],
    ["ERR_FOURFOLD_MEMORY", []], // a smaller input may fit, so it does not speak against the device
  ])("moves home on %s, once made, with a warning and a note", async (code, noted) => {
    failure = failed(code);
    const one = guard();
    const result = await one.run(new Float64Array(1), {});
    expect(result.moved).toEqual([{ from: "gpu", reason: "it failed" }]);
    expect(await values(one)).toEqual([2]);
    one.close();
    const run = ["run device", ...noted];
    expect(log).toEqual([...run, "make home", "run home", ...run, "run home", "close device", "close home"]);
    expect(process.emitWarning).toHaveBeenCalledWith('A run moved from backend "gpu" to "wasm": it failed', { code: "FOURFOLD_MOVED" });
  });

  test("that cannot load its library moves home if auto chose it, and is an error if it was named", async () => {
    failure = failed("ERR_FOURFOLD_BACKEND");
    expect(await values(guard(true))).toEqual([2]);
    expect((await failing(() => guard(false).run(new Float64Array(1), {}))).code).toBe("ERR_FOURFOLD_BACKEND");
  });

  test.each<[ErrorCode]>([["ERR_FOURFOLD_NAN"], ["ERR_FOURFOLD_ABORTED"], ["ERR_FOURFOLD_CLOSED"], ["ERR_FOURFOLD_ACCURACY"]])(
    "ends with %s, which no other device would spare",
    async (code) => {
      failure = failed(code);
      expect((await failing(() => guard(true).run(new Float64Array(1), {}))).code).toBe(code);
      expect(log).toEqual(["run device"]);
    },
  );

  test("that is not ours to understand ends with its own error", async () => {
    failure = new TypeError("a bug");
    await expect(guard(true).run(new Float64Array(1), {})).rejects.toThrow("a bug");
  });

  test("is not tried on a device that was given up", async () => {
    givenUp = "it failed 3 times in a row";
    const result = await guard().run(new Float64Array(1), {});
    expect(result.moved).toEqual([{ from: "gpu", reason: givenUp }]);
    expect(log).toEqual(["make home", "run home"]);
  });
});
