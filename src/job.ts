/** What an engine runs that brings its own input: a source and a chain in one. */
import type { GroupedTable } from "./reduce/grouped.ts";
import type { RolledUp } from "./reduce/rolled.ts";
import type { Accuracy, Dtype, NanPolicy, Progress, TypedData } from "./types.ts";

/** A job: a source and a chain in one, such as a loaded spec. */
export interface Job {
  readonly kind: "fourfold.job";
  readonly nan: NanPolicy;
  read(options: JobReadOptions): Promise<GroupedTable>;
  /** Its levels, innermost first. */
  readonly levels?: readonly { readonly name: string }[];
  /** Rolls itself up where its records would not fit in memory; undefined where they are expected to, unless `outgrown` says that they did not. */
  rollUp?(options: JobRollUpOptions): Promise<RolledUp | undefined>;
}

/** How a job rolls itself up. */
export interface JobRollUpOptions extends Omit<JobReadOptions, "allocate"> {
  readonly accuracy: Accuracy;
  /** Levels whose nodes are kept, innermost first. */
  readonly keep: readonly boolean[];
  readonly outgrown: boolean;
}

/** How an engine reads a job. */
export interface JobReadOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly nan?: NanPolicy;
  /** Where the values go: called once, with the exact length, before any value is copied. */
  readonly allocate?: (dtype: Dtype, length: number) => TypedData;
}

/** True for a job. */
export function isJobLike(first: unknown): first is Job {
  return typeof first === "object" && first !== null && (first as Partial<Job>).kind === "fourfold.job";
}
