/** Runs a chain on a device and, where the device fails, on the wasm kernels: nothing is lost, and the plan of the result says so. */
import { FourfoldError } from "../errors.ts";
import type { Executable, Moved } from "./backend.ts";

/** How a device's failures are told apart and told of. */
export interface GuardOptions {
  readonly device: string;
  /** Why the device is not to be asked at all, if so. */
  readonly givenUp: () => string | undefined;
  /** True if a device that is absent counts as one that failed. One that was asked for by name does not: its absence is the caller's error. */
  readonly absentToo: boolean;
  readonly onSuccess: () => void;
  readonly onFault: () => void;
}

/** An executable on a device, with another one at home for the runs that it fails. The latter is made when it is needed. */
export function guarded(onDevice: Executable, makeAtHome: () => Executable, options: GuardOptions): Executable {
  const { device, givenUp, absentToo, onSuccess, onFault } = options;
  let atHome: Executable | undefined;
  return {
    runSync: undefined,
    run: async (data, context) => {
      let reason = givenUp();
      if (reason === undefined)
        try {
          const output = await onDevice.run(data, context);
          onSuccess();
          context.onProgress?.({ done: 1, total: 1, unit: "parts" });
          return output;
        } catch (error) {
          if (!isFault(error, absentToo)) throw error;
          if (error.code !== "ERR_FOURFOLD_MEMORY") onFault(); // a smaller input may fit
          reason = reasonOf(error);
        }
      const moved: Moved = { from: device, reason };
      process.emitWarning(`A run moved from backend "${device}" to "wasm": ${reason}`, { code: "FOURFOLD_MOVED" });
      atHome ??= makeAtHome();
      return { ...(await atHome.run(data, context)), moved: [moved] };
    },
    close: () => {
      onDevice.close();
      atHome?.close();
    },
  };
}

/** What went wrong; the way out is not the caller's to take. */
function reasonOf({ message, fix }: FourfoldError): string {
  return fix === undefined ? message : message.slice(0, -`. ${fix}`.length);
}

const FAULTS: readonly string[] = ["ERR_FOURFOLD_DEVICE", "ERR_FOURFOLD_WORKER", "ERR_FOURFOLD_MEMORY"];

/** True for what says that the device failed, not that the input is wrong. */
export function isFault(error: unknown, absentToo: boolean): error is FourfoldError {
  if (!(error instanceof FourfoldError)) return false;
  const { code } = error;
  return FAULTS.includes(code) || (absentToo && code === "ERR_FOURFOLD_BACKEND");
}
