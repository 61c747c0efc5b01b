/** What an engine runs that brings its own input: a source and a chain in one. */
import type { GroupedTable } from "./reduce/grouped.ts";
import type { Dtype, NanPolicy, Progress, TypedData } from "./types.ts";

/** A job: a source and a chain in one, such as a loaded spec. */
export interface Job {
  readonly kind: "fourfold.job";
  readonly nan: NanPolicy;
  read(options: JobReadOptions): Promise<GroupedTable>;
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
