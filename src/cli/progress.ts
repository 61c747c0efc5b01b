/** A bar on a terminal's last line while work is under way: how much is done, how fast, and how long it will take. Elsewhere it is silent. */
import type { Progress } from "../types.ts";

/** Redrawn this seldom: smooth to the eye, free for the work. */
const DRAW_EVERY_MS = 50;

/** A rate is of at least this much time: before, it is noise. */
const RATE_AFTER_MS = 500;

/** The bar is as wide as the terminal leaves it, and gone where that is too little to see. */
const CELLS = 24;
const CELLS_LEAST = 4;

/** Where a bar is drawn. */
export interface Terminal {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** A bar. */
export interface Bar {
  /** Says what begins; on a terminal in the bar, elsewhere only if `told`. */
  begin(what: string): void;
  show(progress: Progress): void;
  /** Clears the line. */
  end(): void;
}

/**
 * A bar on `terminal`, or one that draws nothing where it is none.
 * @param told true if a line says what begins where no bar can be drawn
 */
export function progressBar(terminal: Terminal, told: boolean, clock: () => number = () => performance.now()): Bar {
  const drawn = terminal.isTTY === true && process.env["TERM"] !== "dumb";
  if (!drawn) return { begin: (what) => void (told && terminal.write(`reading ${what}\n`)), show: () => undefined, end: () => undefined };
  const pace = new Pace();
  let last = Number.NEGATIVE_INFINITY;
  let visible = false;
  const width = (): number => (terminal.columns || 80) - 1;
  const draw = (line: string): void => {
    terminal.write(`\r${line.slice(0, width())}\x1b[K`);
    visible = true;
  };
  return {
    begin: () => draw("reading"),
    show: (progress) => {
      const now = clock();
      const perSecond = pace.at(progress, now);
      if (now - last < DRAW_EVERY_MS) return;
      last = now;
      draw(barOf(progress, perSecond, width()));
    },
    end: () => {
      if (visible) terminal.write("\r\x1b[K");
      visible = false;
    },
  };
}

/** How fast the step under way is. A step begins where what is counted changes, or begins anew. */
class Pace {
  #from: { readonly progress: Progress; readonly at: number } | undefined;
  #done = 0;

  /** Units in a second, undefined while it is too early to tell. */
  at(progress: Progress, now: number): number | undefined {
    const { done, total, unit } = progress;
    const from = this.#from;
    const same = from !== undefined && from.progress.unit === unit && from.progress.total === total && done >= this.#done;
    this.#done = done;
    if (!same) {
      this.#from = { progress, at: now };
      return undefined;
    }
    const ms = now - from.at;
    const units = done - from.progress.done;
    return ms < RATE_AFTER_MS || !(units > 0) ? undefined : (units / ms) * 1000;
  }
}

function barOf({ done, total, unit }: Progress, perSecond: number | undefined, width: number): string {
  const rate = perSecond === undefined ? "" : `  ${quantity(perSecond, unit)}/s`;
  if (total === undefined || !(total > 0)) return `${quantity(done, unit)}${rate}`;
  const part = Math.min(1, done / total);
  const left = perSecond === undefined || !(total > done) ? "" : `  ${duration((total - done) / perSecond)} left`;
  const percent = String(Math.floor(part * 100)).padStart(3);
  const text = `${percent} %  ${unit === "bytes" ? bytes(done) : count(done)} of ${quantity(total, unit)}${rate}${left}`;
  const cells = Math.min(CELLS, width - text.length - "[] ".length);
  if (cells < CELLS_LEAST) return text;
  const full = Math.floor(part * cells);
  return `[${"#".repeat(full)}${".".repeat(cells - full)}] ${text}`;
}

const quantity = (n: number, unit: Progress["unit"]): string => (unit === "bytes" ? bytes(n) : `${count(n)} ${unit}`);

/** Slow work has a rate below one. */
const count = (n: number): string => (n > 0 && n < 1 ? n.toPrecision(2) : Math.round(n).toLocaleString("en-US"));

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** A number of bytes: `12.3 MiB`. */
export function bytes(n: number): string {
  let value = n;
  let unit = 0;
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

/** Rounded up: nothing takes 0 s. */
function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.ceil(seconds / 60);
  return `${Math.floor(minutes / 60).toLocaleString("en-US")} h ${minutes % 60} min`;
}
