/** Rows a second over the last seconds. Pure: the clock is a parameter. */

/** Long enough not to jump, short enough to follow. */
const SPAN_MS = 2000;

export class Rate {
  readonly #samples: { readonly at: number; readonly rows: number }[] = [];

  /** Takes the rows until `now`, in milliseconds; gives rows a second since about two seconds ago. */
  at(now: number, rows: number): number {
    const samples = this.#samples;
    samples.push({ at: now, rows });
    while (samples.length > 2 && now - samples[1]!.at >= SPAN_MS) samples.shift();
    const first = samples[0]!;
    return now > first.at ? ((rows - first.rows) * 1000) / (now - first.at) : 0;
  }
}
