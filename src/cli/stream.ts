/** `fourfold stream`: records come in, results go out while they do. */
import { basename } from "node:path";
import { FourfoldError } from "../errors.ts";
import { Letters, loadStreamSpec, parquetSink, type StreamSpec } from "../files/index.ts";
import { createEngine, type Rejected, type Sink, type Stream, type StreamOptions, type StreamResult } from "../index.ts";
import { csvSink, ndjsonSink } from "../stream/index.ts";
import { readArgs, usageError } from "./args.ts";
import { EXIT, harmless } from "./failure.ts";
import { type LiveState, liveView, streamTable } from "./live-view.ts";
import { keptNames } from "./question.ts";
import { type SpecAsStream, streamOf } from "./stream-chain.ts";
import { lateLine, rejectedLine } from "./stream-letters.ts";
import { serveMetrics } from "./stream-metrics.ts";
import { readStreamQuestion, STREAM_OPTIONS, type StreamQuestion } from "./stream-options.ts";
import { Rate } from "./stream-rate.ts";
import { openScreen, type Screen } from "./stream-screen.ts";
import { type OpenedSource, openSource } from "./stream-source.ts";

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
    const { keep, out, parquet, format, rejected, late } = question;
    const { levels } = spec;
    this.#question = question;
    this.#spec = spec;
    this.#asStream = asStream;
    this.#written = keptNames(
      keep,
      levels.map(({ name, by }) => ({ name, columns: by })),
    );
    this.#listed = (levels.at(-1)!.by.length === 0 ? (levels.at(-2) ?? levels.at(-1)!) : levels.at(-1)!).name;
    this.#format = format ?? (process.stdout.isTTY && (out ?? parquet) === undefined ? "table" : "ndjson");
    this.#rejected = rejected === undefined ? undefined : new Letters("--rejected", rejected);
    this.#late = late === undefined ? undefined : new Letters("--late", late);
  }

  async toEnd(signal: AbortSignal): Promise<number> {
    const { workers, input } = this.#question;
    await using engine = await createEngine(workers === undefined ? {} : { workers });
    const source = await openSource(input, this.#spec, this.#asStream.source);
    try {
      if (source.address !== undefined) process.stderr.write(`listening at ${source.address}\n`);
      return await this.#run(
        this.#open(() => engine.stream(this.#asStream.chain, source.reader, this.#options())),
        source,
        signal,
      );
    } finally {
      await source.close();
      for (const letters of [this.#rejected, this.#late]) letters?.close();
    }
  }

  async #run(stream: Stream, source: OpenedSource, signal: AbortSignal): Promise<number> {
    const { metrics: port, verbose } = this.#question;
    const began = performance.now();
    const stop = (): void => stream.close();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const metrics = port === undefined ? undefined : await serveMetrics(port, () => stream.stats);
    if (metrics) process.stderr.write(`metrics at ${metrics.url}\n`);
    const state = (rowsPerSecond: number): LiveState => this.#state(stream, source, rowsPerSecond);
    const colour = process.stdout.isTTY === true && !process.env["NO_COLOR"];
    const screen = this.#draws ? drawn(() => state(0), colour) : undefined;
    try {
      await stream.to(this.#sink());
    } finally {
      screen?.close();
      await metrics?.close();
    }
    // Of this process alone: a stream that went on from a checkpoint has counted others before.
    const rowsIn = stream.stats.sources.reduce((total, one) => total + one.rowsIn, 0);
    const table = streamTable(state((rowsIn * 1000) / (performance.now() - began)), colour);
    if (this.#draws || this.#format === "table") process.stdout.write(table);
    else if (verbose) process.stderr.write(table);
    this.#tell(stream, signal);
    if (!signal.aborted) return EXIT.ok;
    return signal.reason === "SIGTERM" ? EXIT.terminated : EXIT.interrupted;
  }

  /** On a terminal that results are not written to there is room for a view. */
  get #draws(): boolean {
    const { out, parquet } = this.#question;
    const isFree = (out ?? parquet) !== undefined || this.#format === "table";
    return isFree && process.stdout.isTTY === true && process.env["TERM"] !== "dumb";
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
  #sink(): Sink {
    const { out, parquet } = this.#question;
    const keepNewest = (results: readonly StreamResult[]): void => {
      this.#newest = results.at(-1) ?? this.#newest;
    };
    if (this.#format === "table") return { write: keepNewest };
    const options = { levels: this.#written };
    const text = this.#format === "csv" ? csvSink : ndjsonSink;
    const sink: Sink = parquet === undefined ? text(out ?? process.stdout, options) : parquetSink(parquet, options);
    const write = sink.write.bind(sink);
    return Object.assign(sink, {
      write: (results: readonly StreamResult[]) => {
        keepNewest(results);
        return write(results);
      },
    });
  }

  #state(stream: Stream, source: OpenedSource, rowsPerSecond: number): LiveState {
    const { window } = this.#spec.stream;
    const { spec, top, best } = this.#question;
    const eventTime = source.eventTime();
    const isSorting = this.#question.input.kind === "replay" && eventTime === undefined;
    return {
      title: isSorting ? `${basename(spec)}: sorting its source by time` : basename(spec),
      stats: stream.stats,
      rowsPerSecond,
      eventTime,
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
    const { rejected: rejectedTo, late: lateTo } = this.#question;
    if (stats.rejected > 0 && rejectedTo !== undefined) lines.push(`records rejected: ${n(stats.rejected)}, in ${rejectedTo}`);
    else if (stats.rejected > 0) {
      lines.push(`records rejected: ${n(stats.rejected)} (--rejected FILE keeps them)${stats.rejected > TOLD_MAX ? "; the first" : ""}`);
      lines.push(...this.#told.map(({ error }) => `  ${error.message} [${error.code}]`));
    }
    if (stats.late > 0)
      lines.push(
        `records too late for every window: ${n(stats.late)}${lateTo === undefined ? " (--late FILE keeps them)" : `, in ${lateTo}`}`,
      );
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

/** Draws a running stream; its rate is that of the last seconds. */
function drawn(state: () => LiveState, colour: boolean): Screen {
  const rate = new Rate();
  return openScreen(process.stdout, (columns, rows) => {
    const now = state();
    return liveView({ ...now, rowsPerSecond: rate.at(performance.now(), now.stats.rowsIn) }, { columns, rows, colour });
  });
}
