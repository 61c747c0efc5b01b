/** The options of a job, checked, and what it tells while it runs and when it is done. */
import { badOption, checkNames, type FourfoldError } from "../errors.ts";
import type { LevelView } from "../reduce/result.ts";
import type { ResultLevel } from "../reduce/result-levels.ts";
import type { NanPolicy, Progress } from "../types.ts";
import { checkedOptions, type LoadOptions } from "./load.ts";

/** How far a job has come: `done` and `total` are bytes of the source's files. */
export interface JobProgress extends Progress {
  readonly pieces: number;
  /** Pieces that are finished, in this call and before it. */
  readonly piecesDone: number;
  /** Bytes of the job's folder. */
  readonly diskBytes: number;
}

/** Options of {@link runJob}. */
export interface JobOptions extends LoadOptions {
  /** The job's folder; it is made if it is not there. */
  readonly dir: string;
  /** Start over, whatever the folder holds of a job. Default false. */
  readonly fresh?: boolean;
  /** Overrides the spec's own policy. */
  readonly nan?: NanPolicy;
  /** How means divide. Default `"reproducible"`. */
  readonly accuracy?: "reproducible" | "exact";
  /** The most pieces of a job. Default 10,000. */
  readonly piecesMax?: number;
  /** Rows of one piece of a Parquet file, unless one row group alone has more. Default 4,194,304. */
  readonly pieceRowsMax?: number;
  /** Pieces that are read at once. Default 2: one is read while another is added up. */
  readonly readersMax?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: JobProgress) => void;
  /** Told of damaged files that are made again. Default: a warning of the process. */
  readonly onDamaged?: (error: FourfoldError) => void;
}

/** The options with their defaults. */
export type CheckedJobOptions = JobOptions &
  Required<Pick<JobOptions, "fresh" | "accuracy" | "piecesMax" | "pieceRowsMax" | "readersMax" | "onDamaged">>;

/** What a job gives: as a run's result, but for what only a run has. */
export interface JobResult {
  /** The one number of a spec whose outermost level is one node. @throws FourfoldError ERR_FOURFOLD_FRAMES if there are several, or none */
  readonly value: number;
  /** The values of the outermost level, in order of key. */
  readonly values: Float64Array;
  readonly shape: readonly number[];
  /** Records that were reduced, the skipped ones included. */
  readonly records: number;
  readonly accuracy: "reproducible" | "exact";
  readonly nan: NanPolicy;
  /** The version of the numeric contract the values keep. */
  readonly contract: string;
  /** All levels, innermost first. */
  readonly levels: readonly ResultLevel[];
  /** What there is of a run's plan: results are written and printed by it. */
  readonly plan: {
    readonly backend: "states";
    readonly accuracy: "reproducible" | "exact";
    readonly nan: NanPolicy;
    readonly form: "records";
    readonly levels: readonly { readonly name: string; readonly nodes: number }[];
  };
  readonly errorBound: undefined;
  /** Pieces of the job. */
  readonly pieces: number;
  /** Pieces that this call read: 0 where the job was done before. */
  readonly piecesRead: number;
  /** The nodes of a level. @throws FourfoldError ERR_FOURFOLD_LEVEL if there is none of that name */
  level(name: string): LevelView;
}

const NAMES = [
  "dir",
  "fresh",
  "nan",
  "accuracy",
  "piecesMax",
  "pieceRowsMax",
  "readersMax",
  "signal",
  "onProgress",
  "onDamaged",
  "allowPaths",
  "memoryBytesMax",
  "threads",
];

/** A manifest of so many pieces has a few megabytes, and listing them takes a fraction of a second. */
const PIECES_MAX = 10_000;
/** 32 MiB of values: some seconds of work that a kill may cost, and little beside what DuckDB itself takes. */
const PIECE_ROWS_MAX = 1 << 22;
const READERS_MAX = 2;

/** Checks the options. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkJobOptions(options: JobOptions): CheckedJobOptions {
  checkNames("runJob", options, NAMES);
  checkedOptions(options);
  const checked = {
    ...options,
    fresh: options.fresh ?? false,
    accuracy: options.accuracy ?? "reproducible",
    piecesMax: options.piecesMax ?? PIECES_MAX,
    pieceRowsMax: options.pieceRowsMax ?? PIECE_ROWS_MAX,
    readersMax: options.readersMax ?? READERS_MAX,
    onDamaged: options.onDamaged ?? ((error: FourfoldError): void => process.emitWarning(error)),
  } as const;
  for (const name of ["piecesMax", "pieceRowsMax", "readersMax"] as const)
    if (!(Number.isSafeInteger(checked[name]) && checked[name] > 0)) throw badOption(name, checked[name], "a whole number above 0");
  if (typeof checked.fresh !== "boolean") throw badOption("fresh", checked.fresh, "true or false");
  if (!["reproducible", "exact"].includes(checked.accuracy)) throw badOption("accuracy", checked.accuracy, '"reproducible" or "exact"');
  if (checked.nan !== undefined && !["propagate", "skip", "error"].includes(checked.nan))
    throw badOption("nan", checked.nan, '"propagate", "skip" or "error"');
  return checked;
}
