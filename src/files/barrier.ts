/**
 * The crash barrier: tables of untrusted files are read in a process of their own. What it may take in time and memory follows from the
 * bytes of the files; what goes beyond, crashes or breaks the rules of the pipe ends that process, and the reading with a typed error.
 * It is no sandbox: the process has the rights of this one. barrier-child.ts is the other side.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { aborted, FourfoldError, show, throwIfAborted } from "../errors.ts";
import { type CarriedError, uncarry } from "../reduce/carried.ts";
import type { GroupedTable, RejectedRow } from "../reduce/grouped.ts";
import type { Progress } from "../types.ts";
import type { ReadRequest } from "./barrier-child.ts";
import { broken, FrameReader, jsonFrame, type Kind } from "./barrier-frames.ts";
import { deadlineMs, type Present, readBytes } from "./barrier-limits.ts";
import type { ReadOptions } from "./spec.ts";
import { TableBuilder } from "./table-frames.ts";

/** Node and DuckDB are there after 0.2 to 2 s; a machine that needs longer is in trouble. */
const START_MS_MAX = 30_000;
/** A process without work stays this long: the next reading need not wait for its start. */
const IDLE_MS = 2000;
/** One that holds more is not used again: freed memory rarely goes back to the system, and it would count for the next reading. */
const IDLE_BYTES_MAX = 144 * 2 ** 20;
/** How often its memory is looked at: a core fills some 50 MiB in that time. */
const LOOK_EVERY_MS = 10;
/** Processes at a time; more readings wait. */
const PROCESSES_MAX = 2;
/** What is kept of its last words. */
const STDERR_LENGTH = 2000;
/** Linux counts pages of this size in statm; where pages are larger, the process's own reports count. */
const PAGE_BYTES = 4096;

/** What a reading hands over as it goes. */
export interface BarrierOptions extends ReadOptions {
  readonly onRejected?: (rows: readonly RejectedRow[]) => void;
}

/** Reads tables in processes; at most one of them stays for a while without work. */
export class Barrier {
  readonly #module: URL | undefined;
  #idle: Reader | undefined;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param module what the processes run, if not this package's own reader; for tests */
  constructor(module?: URL) {
    this.#module = module;
  }

  /**
   * Reads a table in another process.
   * @throws FourfoldError ERR_FOURFOLD_FORMAT if the process crashes, ERR_FOURFOLD_DEADLINE, ERR_FOURFOLD_MEMORY, ERR_FOURFOLD_ABORTED,
   * and what reading there throws
   */
  async read(request: ReadRequest, options: BarrierOptions): Promise<GroupedTable> {
    while (this.#running >= PROCESSES_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    let reader: Reader | undefined;
    try {
      throwIfAborted(options.signal);
      reader = this.#take();
      return await reader.read(request, options);
    } finally {
      this.#running--;
      if (reader) this.#keep(reader);
      this.#waiting.shift()?.();
    }
  }

  #take(): Reader {
    const idle = this.#idle;
    this.#idle = undefined;
    if (idle?.rest(false)) return idle;
    return new Reader(this.#module);
  }

  #keep(reader: Reader): void {
    if (this.#idle !== undefined || !reader.rest(true)) reader.end();
    else this.#idle = reader;
  }

  /** Ends the process that waits for work. */
  close(): void {
    this.#idle?.end();
    this.#idle = undefined;
  }
}

/** One process. */
class Reader {
  readonly #process: ChildProcess;
  readonly #pipe: Socket;
  readonly #frames: FrameReader;
  #reading: Reading | undefined;
  #ready = false;
  #ended = false;
  #bytes = 0;
  #stderr = "";
  #idle: NodeJS.Timeout | undefined;

  constructor(module: URL | undefined) {
    const file = fileURLToPath(module ?? new URL("../../dist/files/barrier-child.js", import.meta.url));
    this.#process = spawn(process.execPath, [file], { stdio: ["ignore", "ignore", "pipe", "pipe"], windowsHide: true });
    this.#pipe = this.#process.stdio[3] as Socket;
    this.#frames = new FrameReader({
      json: (kind, value) => this.#take(kind, value),
      bytes: (part) => this.#reading?.builder.bytes(part),
    });
    this.#process.stderr!.on("data", (text: Buffer) => {
      this.#stderr = (this.#stderr + text.toString()).slice(-STDERR_LENGTH);
    });
    this.#pipe.on("data", (data: Buffer) => {
      try {
        this.#frames.push(data);
      } catch (error) {
        this.#fail(error);
      }
    });
    this.#pipe.on("error", () => undefined); // "close" follows
    this.#process.on("error", (cause) => this.#fail(cannotStart(cause)));
    this.#process.on("close", (code, signal) => {
      this.#ended = true;
      const cause = this.#stderr === "" ? {} : { cause: new Error(this.#stderr.trim()) };
      this.#reading?.fail(
        new FourfoldError("ERR_FOURFOLD_FORMAT", `the reader crashed on ${show(this.#reading.subject)} (${signal ?? `status ${code}`})`, {
          given: signal ?? code,
          fix: "The file is damaged, or made to do harm: fetch it again",
          at: { file: this.#reading.subject },
          ...cause,
        }),
      );
    });
  }

  read(request: ReadRequest, options: BarrierOptions): Promise<GroupedTable> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      const settled = (): void => {
        this.#reading = undefined;
        clearTimeout(reading.timer);
        clearInterval(looking);
        signal?.removeEventListener("abort", abort);
      };
      const reading = new Reading(request, options, {
        resolve: (table) => {
          settled();
          resolve(table);
        },
        reject: (error) => {
          settled();
          reject(error as Error);
        },
      });
      const abort = (): void => this.#fail(aborted(signal!));
      const looking = setInterval(() => this.#look(), LOOK_EVERY_MS);
      signal?.addEventListener("abort", abort, { once: true });
      this.#reading = reading;
      if (this.#ended) return this.#fail(broken("nothing: it has ended"));
      if (this.#ready) return this.#begin(reading);
      reading.timer = setTimeout(() => this.#fail(cannotStart(undefined)), START_MS_MAX);
    });
  }

  #begin(reading: Reading): void {
    this.#ready = true;
    this.#restart(reading);
    for (const part of jsonFrame("read", reading.request)) this.#pipe.write(part);
  }

  /** Starts the clock, or starts it again when it is known what is there: nothing of it was read before. */
  #restart(reading: Reading): void {
    const ms = deadlineMs(reading.request.limits, reading.present);
    clearTimeout(reading.timer);
    reading.timer = setTimeout(() => {
      this.#fail(
        new FourfoldError("ERR_FOURFOLD_DEADLINE", `${show(reading.subject)} was not read in ${ms} ms`, {
          given: ms,
          fix: "Raise deadlineMsMax (--deadline-ms) if the files and the SQL are to take that long",
          at: { file: reading.subject },
        }),
      );
    }, ms);
  }

  #take(kind: Exclude<Kind, "bytes">, value: unknown): void {
    const reading = this.#reading;
    if (kind === "memory") this.#weigh(Number((value as { bytes?: unknown } | null)?.bytes));
    else if (reading === undefined) {
      if (kind !== "ready") throw broken("a word when nothing was asked");
      this.#ready = true;
    } else if (kind === "ready" && !this.#ready) this.#begin(reading);
    else if (kind === "present") {
      reading.found(value);
      this.#restart(reading);
    } else reading.take(kind, value);
  }

  /** What the system says of its memory, where it says it in a file. */
  #look(): void {
    if (process.platform !== "linux" || this.#process.pid === undefined) return;
    try {
      this.#weigh(Number(readFileSync(`/proc/${this.#process.pid}/statm`, "latin1").split(" ")[1]) * PAGE_BYTES);
    } catch {
      // It has just ended, which "close" tells.
    }
  }

  #weigh(bytes: number): void {
    if (!(bytes > 0)) return;
    this.#bytes = bytes;
    const reading = this.#reading;
    if (reading === undefined || bytes <= reading.bytesMax) return;
    this.#fail(
      new FourfoldError("ERR_FOURFOLD_MEMORY", `reading ${show(reading.subject)} took more than ${reading.bytesMax} bytes`, {
        given: bytes,
        expected: reading.bytesMax,
        fix: "Raise readBytesMax, or select fewer columns or rows",
        at: { file: reading.subject },
      }),
    );
  }

  #fail(error: unknown): void {
    const reading = this.#reading;
    this.end();
    reading?.fail(error);
  }

  /** Rests, or goes back to work; says whether it is fit for it. */
  rest(resting: boolean): boolean {
    clearTimeout(this.#idle);
    if (!resting || !this.#ended) this.#look();
    if (this.#ended || this.#bytes > IDLE_BYTES_MAX) return false;
    for (const part of [this.#process, this.#pipe, this.#process.stderr as Socket]) resting ? part.unref() : part.ref();
    if (resting) {
      this.#idle = setTimeout(() => this.end(), IDLE_MS);
      this.#idle.unref();
    }
    return true;
  }

  /** Ends the process at once. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#idle);
    this.#process.kill("SIGKILL");
    this.#pipe.destroy();
  }
}

/** What ends a reading. */
interface End {
  readonly resolve: (table: GroupedTable) => void;
  readonly reject: (error: unknown) => void;
}

/** One table on its way. */
class Reading {
  readonly request: ReadRequest;
  readonly builder: TableBuilder;
  readonly #options: BarrierOptions;
  readonly #end: End;
  timer: NodeJS.Timeout | undefined;
  subject: string;
  present: Present = { files: 0, bytes: 0 };
  bytesMax: number;

  constructor(request: ReadRequest, options: BarrierOptions, end: End) {
    this.request = request;
    this.#options = options;
    this.#end = end;
    this.subject = request.file;
    this.bytesMax = readBytes(request.limits, this.present);
    this.builder = new TableBuilder(options.allocate, () => this.bytesMax);
  }

  /** Takes what is there to be read, and what it may take for it. */
  found(value: unknown): void {
    const { files, bytes, subject } = (value ?? {}) as Partial<Record<string, unknown>>;
    if (!Number.isSafeInteger(files) || !Number.isSafeInteger(bytes) || typeof subject !== "string") throw broken("no count of files");
    this.present = { files: files as number, bytes: bytes as number };
    this.subject = subject;
    this.bytesMax = readBytes(this.request.limits, this.present);
  }

  take(kind: Exclude<Kind, "bytes">, value: unknown): void {
    switch (kind) {
      case "progress":
        this.#options.onProgress?.(value as Progress);
        return;
      case "values":
        this.builder.values(value);
        return;
      case "table":
        this.builder.table(value);
        return;
      case "cells":
        this.builder.cells(value);
        return;
      case "rejected":
        this.#options.onRejected?.(value as readonly RejectedRow[]);
        return;
      case "failed":
        if (typeof (value as CarriedError | null)?.message !== "string") throw broken("an error that is none");
        this.fail(uncarry(value as CarriedError));
        return;
      case "done":
        this.#end.resolve(this.builder.finish());
        return;
      default:
        throw broken(`"${kind}" out of turn`);
    }
  }

  fail(error: unknown): void {
    this.#end.reject(error);
  }
}

function cannotStart(cause: unknown): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_SOURCE", "the process that reads untrusted files cannot be started", {
    fix: "Check the limits on processes and memory of this machine",
    ...(cause === undefined ? {} : { cause }),
  });
}
