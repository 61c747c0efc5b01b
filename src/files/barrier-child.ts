/**
 * What the process behind the barrier runs: it reads one spec after the other and sends each table through the pipe that it was started
 * with. It ends with the pipe. It decides nothing: limits, deadline and what becomes of an error are the parent's (barrier.ts).
 */
import { Socket } from "node:net";
import { carry } from "../reduce/carried.ts";
import type { NanPolicy, Progress } from "../types.ts";
import { FrameReader, jsonFrame } from "./barrier-frames.ts";
import { databaseBytes, readBytes, type UntrustedLimits } from "./barrier-limits.ts";
import { type Care, readCarefully } from "./careful.ts";
import { loadDuckDB } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import { parseSpec } from "./spec.ts";
import { framesOf } from "./table-frames.ts";

/** What to read: plain values. */
export interface ReadRequest {
  /** The spec, and how messages call it. */
  readonly text: string;
  readonly file: string;
  readonly allowed: Allowed;
  readonly nan: NanPolicy | null;
  readonly limits: UntrustedLimits;
  readonly memoryBytesMax: number | null;
  readonly threads: number;
  readonly care: Care;
  /** Whether all rejected rows are wanted. */
  readonly quarantine: boolean;
}

/** The pipe: the first stream after stdin, stdout and stderr. */
const PIPE = 3;
const MEMORY_EVERY_MS = 50;

const pipe = new Socket({ fd: PIPE, readable: true, writable: true });
let reading = false;

/** At once: DuckDB's threads may be anywhere. */
const end = (): void => {
  process.kill(process.pid, "SIGKILL");
};
pipe.on("error", end);
pipe.on("close", end);
pipe.on("end", end);

function send(frame: readonly Uint8Array[]): Promise<void> | undefined {
  let flowing = true;
  pipe.cork();
  for (const part of frame) flowing = pipe.write(part);
  pipe.uncork();
  return flowing ? undefined : new Promise((resolve) => pipe.once("drain", resolve));
}

async function read(request: ReadRequest): Promise<void> {
  reading = true;
  const beat = setInterval(() => void send(jsonFrame("memory", { bytes: process.memoryUsage.rss() })), MEMORY_EVERY_MS);
  try {
    const { limits, memoryBytesMax, nan } = request;
    const table = await readCarefully(parseSpec(request.text, request.file), request.allowed, request.care, {
      limitsFor: (present) => {
        const bytes = databaseBytes(readBytes(limits, present));
        return { threads: request.threads, memoryBytesMax: memoryBytesMax === null ? bytes : Math.min(bytes, memoryBytesMax) };
      },
      onPresent: (present) => void send(jsonFrame("present", present)),
      ...(request.quarantine && { onRejected: async (rows) => send(jsonFrame("rejected", rows)) }),
      read: {
        ...(nan !== null && { nan }),
        onProgress: (progress: Progress) => void send(jsonFrame("progress", progress)),
      },
    });
    for (const frame of framesOf(table)) await send(frame);
    await send(jsonFrame("done", {}));
  } catch (error) {
    await send(jsonFrame("failed", carry(error)));
  } finally {
    clearInterval(beat);
    reading = false;
  }
}

const frames = new FrameReader({
  json: (kind, value) => {
    if (kind !== "read" || reading) end();
    else void read(value as ReadRequest);
  },
  bytes: end,
});
pipe.on("data", (data) => frames.push(data));
// Before the first file: its time counts from here on. Without the package the first reading says what is missing.
await loadDuckDB().catch(() => undefined);
await send(jsonFrame("ready", {}));
