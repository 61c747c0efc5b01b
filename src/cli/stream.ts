/** `fourfold stream`: records come in, results go out while they do. */
import { basename } from "node:path";
import { FourfoldError } from "../errors.ts";
import { loadStreamSpec, type StreamSpec } from "../files/index.ts";
import { createEngine, type Rejected, type Sink, type Stream, type StreamOptions, type StreamResult } from "../index.ts";
import { csv, csvSink, ndjson, ndjsonSink, type Reader, tail } from "../stream/index.ts";
import { readArgs, usageError } from "./args.ts";
import { EXIT, harmless } from "./failure.ts";
import { type LiveState, liveView, streamTable } from "./live-view.ts";
import { keptNames } from "./question.ts";
import { type SpecAsStream, streamOf } from "./stream-chain.ts";
import { Letters, lateLine, rejectedLine } from "./stream-letters.ts";
import { serveMetrics } from "./stream-metrics.ts";
import { readStreamQuestion, STREAM_OPTIONS, type StreamQuestion } from "./stream-options.ts";
import { Rate } from "./stream-rate.ts";
import { type Replay, replaySource } from "./stream-replay.ts";
import { openScreen } from "./stream-screen.ts";

/** Rejected records that are told where no file takes them. */
const TOLD_MAX = 3;

/** Streams; returns the exit code. */
export async function stream(args: readonly string[], signal: AbortSignal): Promise<number> {
  const question = readStreamQuestion(readArgs("stream", args, STREAM_OPTIONS));
  if (question.input.kind === "stdin" && process.stdin.isTTY)
    throw usageError(
      "stream reads records from stdin, which is a terminal",
      "Send it records: … | fourfold stream SPEC, or use --file",
      "",
    );
  const spec = await loadStreamSpec(question.spec, { allowPaths: question.allowPaths });
  const run = new Run(question, spec, await streamOf(spec, signal));
  return run.toEnd(signal);
}

/** One run of the command. */
class Run {
  readonly #question: StreamQuestion;
  readonly #spec: StreamSpec;
  readonly #asStream: SpecAsStream;
  /** Levels that results are written for. */
  readonly #written: readonly string[];
  /** The level that the view lists: that below the outermost, where the outermost is one node. */
  readonly #listed: string;
  readonly #format: "table" | "ndjson" | "csv";
  readonly #rejected: Letters | undefined;
  readonly #late: Letters | undefined;
  readonly #told: Rejected[] = [];
  #newest: StreamResult | undefined;

  constructor(question: StreamQuestion, spec: StreamSpec, asStream: SpecAsStream) {
    const { keep, out, format, rejected, late } = question;
    const { levels } = spec;
    this.#question = question;
    this.#spec = spec;
    this.#asStream = asStream;
    this.#written = keptNames(
      keep,
      levels.map(({ name, by }) => ({ name, columns: by })),
    );
    this.#listed = (levels.at(-1)!.by.length === 0 ? (levels.at(-2) ?? levels.at(-1)!) : levels.at(-1)!).name;
    this.#format = format ?? (process.stdout.isTTY && out === undefined ? "table" : "ndjson");
    this.#rejected = rejected === undefined ? undefined : new Letters("rejected", rejected);
    this.#late = late === undefined ? undefined : new Letters("late", late);
  }

  async toEnd(signal: AbortSignal): Promise<number> {
    const { workers, metrics: port, verbose } = this.#question;
    const began = performance.now();
    await using engine = await createEngine(workers === undefined ? {} : { workers });
    const source = this.#source();
    const stream = this.#open(() => engine.stream(this.#asStream.chain, source, this.#options()));
    const stop = (): void => stream.close();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const metrics = port === undefined ? undefined : await serveMetrics(port, () => stream.stats);
    if (metrics) process.stderr.write(`metrics at ${metrics.url}\n`);
    const shows = this.#question.out !== undefined || this.#format === "table";
    const rate = new Rate();
    const state = (rowsPerSecond: number): LiveState => this.#state(stream, source, rowsPerSecond);
    const screen =
      shows && process.stdout.isTTY && process.env["TERM"] !== "dumb"
        ? openScreen(process.stdout, (columns, rows) =>
            liveView(state(rate.at(performance.now(), stream.stats.rowsIn)), { columns, rows, colour: !process.env["NO_COLOR"] }),
          )
        : undefined;
    try {
      await stream.to(this.#sink(screen !== undefined || this.#format === "table"));
    } finally {
      screen?.close();
      await metrics?.close();
      for (const letters of [this.#rejected, this.#late]) letters?.close();
    }
    const seconds = (performance.now() - began) / 1000;
    const final = streamTable(state(stream.stats.rowsIn / seconds), process.stdout.isTTY === true && !process.env["NO_COLOR"]);
    if (screen || this.#format === "table") process.stdout.write(final);
    else if (verbose) process.stderr.write(final);
    this.#tell(stream, signal);
    if (!signal.aborted) return EXIT.ok;
    return signal.reason === "SIGTERM" ? EXIT.terminated : EXIT.interrupted;
  }

  #source(): Reader | Replay {
    const { input } = this.#question;
    const { source } = this.#asStream;
    if (input.kind === "replay") {
      this.#spec.replay(); // says at once what it lacks
      return replaySource(this.#spec, input.speed);
    }
    if (input.kind === "tail") return tail(input.path, { ...source, format: input.format });
    const reader = input.format === "csv" ? csv : ndjson;
    return input.kind === "stdin" ? reader(process.stdin, { ...source, name: "stdin" }) : reader(input.path, source);
  }

  #options(): StreamOptions {
    const { nan, limits } = this.#question;
    return {
      ...this.#asStream.options,
      ...limits,
      ...(nan && { nan }),
      keep: [...new Set([...this.#written, this.#listed])],
      onRejected: (rejected) => {
        if (this.#rejected) this.#rejected.add(rejectedLine(rejected));
        else if (this.#told.length < TOLD_MAX) this.#told.push(rejected);
      },
      ...(this.#late && { onLate: (late) => this.#late!.add(lateLine(late, this.#asStream.options.keys!)) }),
    };
  }

  /** What windows mean together is known only where they are made: then its place in the spec is added. */
  #open(open: () => Stream): Stream {
    try {
      return open();
    } catch (error) {
      const ofWindow = error instanceof FourfoldError && error.code === "ERR_FOURFOLD_ARGUMENT" && /\bwindow\b/.test(error.message);
      throw ofWindow ? this.#spec.placed(error, "/stream/window") : error;
    }
  }

  /** Where results go. A table wants the newest of them alone. */
  #sink(shown: boolean): Sink {
    const { out } = this.#question;
    const keepNewest = (results: readonly StreamResult[]): void => {
      this.#newest = results.at(-1) ?? this.#newest;
    };
    if (this.#format === "table") return { write: keepNewest };
    const sink = (this.#format === "csv" ? csvSink : ndjsonSink)(out ?? process.stdout, { levels: this.#written });
    if (!shown) return sink;
    return {
      open: (position, context) => sink.open!(position, context),
      write: async (results) => {
        keepNewest(results);
        await sink.write(results);
      },
      ...(sink.flush && { flush: () => sink.flush!() }),
      close: async () => sink.close?.(),
    };
  }

  #state(stream: Stream, source: Reader | Replay, rowsPerSecond: number): LiveState {
    const { window } = this.#spec.stream;
    const { spec, top, best } = this.#question;
    return {
      title: basename(spec),
      stats: stream.stats,
      rowsPerSecond,
      eventTime: "eventTime" in source ? source.eventTime : undefined,
      axis: window?.sizeMs !== undefined ? "time" : window?.sizeRows !== undefined ? "rows" : "none",
      result: this.#newest,
      level: this.#listed,
      top,
      best,
    };
  }

  /** What went beside the results, one line each. */
  #tell({ stats }: Stream, signal: AbortSignal): void {
    const { checkpoint } = this.#question.limits;
    const lines: string[] = [];
    const n = (count: number): string => count.toLocaleString("en-US");
    if (stats.rejected > 0 && !this.#rejected) {
      lines.push(`records rejected: ${n(stats.rejected)} (--rejected FILE keeps them)${stats.rejected > TOLD_MAX ? "; the first" : ""}`);
      lines.push(...this.#told.map(({ error }) => `  ${error.message} [${error.code}]`));
    }
    if (stats.late > 0 && !this.#late) lines.push(`records too late for every window: ${n(stats.late)} (--late FILE keeps them)`);
    if (stats.dropped > 0) lines.push(`records dropped because the queue was full: ${n(stats.dropped)}`);
    if (signal.aborted) {
      const after = checkpoint
        ? `; the same command goes on from the checkpoint in ${checkpoint.dir}`
        : stats.openWindows > 0
          ? `; windows that were open and gave no last result: ${n(stats.openWindows)}`
          : "";
      lines.push(`${signal.reason === "SIGTERM" ? "terminated" : "interrupted"}${after}`);
    }
    for (const line of lines) process.stderr.write(`fourfold: ${harmless(line)}\n`);
  }
}
