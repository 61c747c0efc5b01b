/** What a stream tells of itself: counts, latencies, Prometheus text, and events on diagnostics channels. */
import { channel } from "node:diagnostics_channel";
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/** Milliseconds below which the given part of latencies lay. NaN before the first. */
export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** Counts of a stream since it began; those that a checkpoint keeps go on after a restart. */
export interface StreamStats {
  /** Records or frames that came from sources. */
  readonly rowsIn: number;
  /** Results that were given. */
  readonly resultsOut: number;
  /** Rows that came after their window had closed. */
  readonly late: number;
  /** Rows that were dropped because the queue was full. */
  readonly dropped: number;
  /** Rows that could not be read or taken. */
  readonly rejected: number;
  /** Rows and bytes that wait. */
  readonly queueRows: number;
  readonly queueBytes: number;
  readonly batches: number;
  /** Rows of the last batch, and the most that the next one takes. */
  readonly batchRows: number;
  readonly batchRowsMax: number;
  /** From a row's arrival to the end of its batch; the oldest row of each segment of a batch counts. */
  readonly latencyMs: Percentiles;
  /** Event time up to which the stream expects no more rows; −Infinity at first. */
  readonly watermark: number;
  readonly openWindows: number;
  /** Level-f nodes over all open windows. */
  readonly openNodes: number;
  readonly weightsVersion: number;
  readonly checkpoints: number;
  /** When the last checkpoint was written, in milliseconds since 1970; undefined before the first. */
  readonly checkpointAt: number | undefined;
  /** Where each source goes on. */
  readonly sources: readonly SourceStats[];
}

/** One source of a stream. */
export interface SourceStats {
  readonly name: string;
  readonly rowsIn: number;
  /** The offset from which it would be read after a crash now. */
  readonly offset: number;
  readonly ended: boolean;
}

/** What streams use of a channel: the public types name none of Node's. */
interface Events {
  readonly hasSubscribers: boolean;
  publish(message: unknown): void;
}

/**
 * The channels of node:diagnostics_channel on which streams publish. Each message has `stream`, the {@link StreamStats} reader of the stream.
 * - `fourfold:stream:batch`: { rows, bytes, ms, latencyMs }
 * - `fourfold:stream:result`: { result }
 * - `fourfold:stream:late`, `fourfold:stream:rejected`: { late } and { rejected }
 * - `fourfold:stream:checkpoint`: { bytes, ms }
 */
export const CHANNELS: Readonly<Record<"batch" | "result" | "late" | "rejected" | "checkpoint", Events>> = {
  batch: channel("fourfold:stream:batch"),
  result: channel("fourfold:stream:result"),
  late: channel("fourfold:stream:late"),
  rejected: channel("fourfold:stream:rejected"),
  checkpoint: channel("fourfold:stream:checkpoint"),
};

/** Nanoseconds in a millisecond: the unit of the histogram. */
const NS = 1e6;

/** Latencies, in buckets that are off by 0.1 % at most. */
export class Latencies {
  readonly #histogram: RecordableHistogram = createHistogram({ figures: 3 });

  record(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * NS)));
  }

  get percentiles(): Percentiles {
    const at = (percent: number): number => (this.#histogram.count === 0 ? Number.NaN : this.#histogram.percentile(percent) / NS);
    return { p50: at(50), p99: at(99), p999: at(99.9) };
  }
}

/** One metric as Prometheus reads it. */
function metric(
  name: string,
  type: "counter" | "gauge",
  help: string,
  samples: readonly (readonly [labels: string, value: number])[],
): string {
  const lines = samples.map(([labels, value]) => `fourfold_stream_${name}${labels} ${shown(value)}`);
  return [`# HELP fourfold_stream_${name} ${help}`, `# TYPE fourfold_stream_${name} ${type}`, ...lines, ""].join("\n");
}

function shown(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : "-Inf";
}

/**
 * Stats in the text format of Prometheus 0.0.4.
 * @example response.setHeader("content-type", "text/plain; version=0.0.4").end(prometheusText(stream.stats));
 */
export function prometheusText(stats: StreamStats): string {
  const { latencyMs, sources } = stats;
  const source = ({ name }: SourceStats): string =>
    `{source="${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"}`;
  const one = (value: number): readonly (readonly [string, number])[] => [["", value]];
  return [
    metric(
      "rows_in_total",
      "counter",
      "Records or frames that came from each source.",
      sources.map((from) => [source(from), from.rowsIn]),
    ),
    metric("results_total", "counter", "Results that were given.", one(stats.resultsOut)),
    metric("late_total", "counter", "Rows that came after their window had closed.", one(stats.late)),
    metric("dropped_total", "counter", "Rows dropped because the queue was full.", one(stats.dropped)),
    metric("rejected_total", "counter", "Rows that could not be read or taken.", one(stats.rejected)),
    metric("batches_total", "counter", "Batches that were reduced.", one(stats.batches)),
    metric("checkpoints_total", "counter", "Checkpoints that were written.", one(stats.checkpoints)),
    metric("queue_rows", "gauge", "Rows that wait.", one(stats.queueRows)),
    metric("queue_bytes", "gauge", "Bytes that wait.", one(stats.queueBytes)),
    metric("batch_rows", "gauge", "Rows of the last batch.", one(stats.batchRows)),
    metric("open_windows", "gauge", "Windows that are open.", one(stats.openWindows)),
    metric("open_nodes", "gauge", "Level-f nodes of all open windows.", one(stats.openNodes)),
    metric("weights_version", "gauge", "Changes of weights.", one(stats.weightsVersion)),
    metric("watermark_seconds", "gauge", "Event time up to which no more rows are expected.", one(stats.watermark / 1000)),
    metric("latency_seconds", "gauge", "From a row's arrival to the end of its batch.", [
      ['{quantile="0.5"}', latencyMs.p50 / 1000],
      ['{quantile="0.99"}', latencyMs.p99 / 1000],
      ['{quantile="0.999"}', latencyMs.p999 / 1000],
    ]),
    metric(
      "source_offset",
      "gauge",
      "Where each source goes on.",
      sources.map((from) => [source(from), from.offset]),
    ),
  ].join("");
}
