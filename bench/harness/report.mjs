// What a suite hands back, as text. A suite returns { cases, checks, notes }: the times, the figures that have a target, and
// what a reader must know beside them.

/** A figure with its target. `atLeast` or `atMost` is the target; with neither the figure is only reported. `spread` is [low, high]. */
export function check(figure, measured, { atLeast, atMost, goal, unit = "×", spread, best, rounds, unsound, note } = {}) {
  const pass =
    measured === undefined ? false : atLeast !== undefined ? measured >= atLeast : atMost !== undefined ? measured <= atMost : undefined;
  const target = atLeast !== undefined ? `≥ ${atLeast}` : atMost !== undefined ? `≤ ${atMost}` : undefined;
  return {
    figure,
    measured,
    unit,
    ...(target && { target, pass }),
    ...(goal && { goal }),
    ...(spread && { spread }),
    ...(best && { best }),
    ...(rounds && { rounds }),
    ...(unsound && { unsound }),
    ...(note && { note }),
  };
}

/** A ratio from the interleaved runner as a figure. */
export function checkRatio(figure, { median, low, high, best, rounds, unsound }, options = {}) {
  return check(figure, median, { ...options, spread: [low, high], best, rounds, unsound });
}

/** The table of figures. */
export function printChecks(checks) {
  const rows = checks.map(({ figure, target, goal, measured, unit, spread, best, rounds, pass, unsound, note }) => [
    pass === undefined ? " " : unsound ? "?" : pass ? "✓" : "✗",
    figure,
    target ? `${target}${unit === "×" ? "" : ` ${unit}`}${goal ? ` (goal ${goal})` : ""}` : "",
    measured === undefined ? "absent" : `${short(measured)} ${unit}`,
    spread ? `${short(spread[0])} … ${short(spread[1])}` : "",
    best === undefined ? "" : short(best),
    rounds ?? "",
    unsound ? "UNSOUND: the cores were shared in most rounds" : (note ?? ""),
  ]);
  table(["", "figure", "target", "measured", "quartiles", "of best", "rounds", ""], rows);
}

/** The table of cases. `bytes` of a case gives its rate. */
export function printCases(cases) {
  const rows = cases.map(({ name, seconds, low, high, best, bytes, cpuShare, threads, shared }) => [
    name,
    duration(seconds),
    `${duration(low)} … ${duration(high)}`,
    duration(best),
    bytes ? `${(bytes / seconds / 1e9).toFixed(1)} GB/s` : "",
    cpuShare === undefined ? "" : `${Math.round(100 * cpuShare)} %${threads > 1 ? ` of ${threads}` : ""}${shared ? ", SHARED" : ""}`,
  ]);
  table(["case", "median", "quartiles", "best", "rate", "CPU/wall"], rows);
}

/** Records for the results file: no sample lists, and no more digits than were measured. */
export function summary({ cases = [], checks = [], ...rest }) {
  const digits = (value) => (typeof value === "number" ? Number(value.toPrecision(4)) : Array.isArray(value) ? value.map(digits) : value);
  const rounded = (record) =>
    Object.fromEntries(
      Object.entries(record)
        .filter(([key]) => key !== "times" && key !== "sound" && key !== "repeats")
        .map(([key, value]) => [key, digits(value)]),
    );
  return { ...rest, checks: checks.map(rounded), cases: cases.map(rounded) };
}

function table(head, rows) {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i].length)));
  for (const row of [head, ...rows]) console.log(`  ${row.map((cell, i) => cell.padEnd(widths[i])).join("  ")}`.trimEnd());
}

function short(value) {
  return Number(value.toPrecision(3)).toString();
}

function duration(seconds) {
  if (seconds >= 1) return `${seconds.toPrecision(3)} s`;
  if (seconds >= 1e-3) return `${(seconds * 1e3).toPrecision(3)} ms`;
  return `${(seconds * 1e6).toPrecision(3)} µs`;
}
