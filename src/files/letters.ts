/** Side outputs: what was rejected or came late, one line each, appended to a file in whole lines. It knows nothing of what the lines say. */
import { closeSync, openSync, writeSync } from "node:fs";
import { FourfoldError, show, systemReason } from "../errors.ts";

/** Lines are gathered to about this many characters. */
const PIECE = 1 << 16;

/** A file of lines. @internal */
export class Letters {
  readonly #option: string;
  readonly #path: string;
  readonly #file: number;
  #waiting = "";
  #soon: NodeJS.Immediate | undefined;
  #failed: FourfoldError | undefined;

  /** Opens the file that `option` names, as messages call it. @throws FourfoldError ERR_FOURFOLD_OUTPUT */
  constructor(option: string, path: string) {
    this.#option = option;
    this.#path = path;
    try {
      this.#file = openSync(path, "a");
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  /** Adds a line. @throws FourfoldError ERR_FOURFOLD_OUTPUT, also for an earlier line */
  add(line: string): void {
    if (this.#failed) throw this.#failed;
    this.#waiting += `${line}\n`;
    if (this.#waiting.length >= PIECE) this.#write();
    else
      this.#soon ??= setImmediate(() => {
        try {
          this.#write();
        } catch (error) {
          this.#failed = error as FourfoldError;
        }
      });
  }

  /** Writes what waits. @throws FourfoldError ERR_FOURFOLD_OUTPUT */
  close(): void {
    try {
      this.#write();
    } finally {
      closeSync(this.#file);
    }
    if (this.#failed) throw this.#failed;
  }

  #write(): void {
    clearImmediate(this.#soon);
    this.#soon = undefined;
    const bytes = Buffer.from(this.#waiting);
    this.#waiting = "";
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  #refusal(error: unknown): unknown {
    const reason = systemReason(error);
    if (reason === undefined) return error;
    return new FourfoldError("ERR_FOURFOLD_OUTPUT", `${this.#option} ${show(this.#path)} cannot be written: ${reason}`, {
      given: this.#path,
      fix: "Name another file",
      cause: error,
      at: { file: this.#path },
    });
  }
}
