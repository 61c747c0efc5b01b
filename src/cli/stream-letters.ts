/** Side outputs: records that were rejected or came late, one JSON object a line, appended to a file. Without a file they are counted, and the first few told. */
import { closeSync, openSync, writeSync } from "node:fs";
import { FourfoldError, show, systemReason } from "../errors.ts";
import type { LateRow, Rejected } from "../index.ts";
import { jsonKey, jsonNumber } from "../reduce/cells.ts";
import { finiteOrNull } from "../reduce/rows.ts";

/** Lines are gathered to about this many characters. */
const PIECE = 1 << 16;

/** A file of lines. */
export class Letters {
  readonly #option: string;
  readonly #path: string;
  readonly #file: number;
  #waiting = "";
  #soon: NodeJS.Immediate | undefined;
  #failed: FourfoldError | undefined;

  /** Opens the file that `--option` names. @throws FourfoldError ERR_FOURFOLD_OUTPUT */
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
    return new FourfoldError("ERR_FOURFOLD_OUTPUT", `--${this.#option} ${show(this.#path)} cannot be written: ${reason}`, {
      given: this.#path,
      fix: "Name another file",
      cause: error,
      at: { file: this.#path },
    });
  }
}

/** A rejected record as a line: where it stands, why, and its text. */
export function rejectedLine({ source, from, to, line, error, text }: Rejected): string {
  const { code, message } = error;
  return JSON.stringify({ source, from, to, line: line ?? null, code, message, text: text ?? null });
}

/** A late record as a line. */
export function lateLine({ source, path, time, value, weight, watermark }: LateRow, keys: readonly string[]): string {
  const named = path.map((key, i) => `${JSON.stringify(keys[i]!)}:${jsonKey(key)}`).join(",");
  const weighed = weight === undefined ? "" : `,"weight":${jsonNumber(weight)}`;
  return `{"source":${JSON.stringify(source)},"keys":{${named}},"time":${jsonNumber(time)},"value":${jsonNumber(value)}${weighed},"watermark":${finiteOrNull(watermark) ?? "null"}}`;
}
