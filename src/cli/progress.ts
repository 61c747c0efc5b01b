/** A bar on a terminal's last line while work is under way. Elsewhere it is silent. */
import type { Progress } from "../types.ts";

/** Redrawn this seldom: smooth to the eye, free for the work. */
const DRAW_EVERY_MS = 50;

const CELLS = 24;

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
  let last = Number.NEGATIVE_INFINITY;
  let visible = false;
  const draw = (line: string): void => {
    terminal.write(`\r${line.slice(0, (terminal.columns || 80) - 1)}\x1b[K`);
    visible = true;
  };
  return {
    begin: () => draw("reading"),
    show: (progress) => {
      const now = clock();
      if (now - last < DRAW_EVERY_MS) return;
      last = now;
      draw(barOf(progress));
    },
    end: () => {
      if (visible) terminal.write("\r\x1b[K");
      visible = false;
    },
  };
}

function barOf({ done, total, unit }: Progress): string {
  const n = (value: number): string => value.toLocaleString("en-US");
  if (total === undefined || !(total > 0)) return `${n(done)} ${unit}`;
  const part = Math.min(1, done / total);
  const full = Math.floor(part * CELLS);
  return `[${"#".repeat(full)}${".".repeat(CELLS - full)}] ${String(Math.floor(part * 100)).padStart(3)} %  ${n(done)} of ${n(total)} ${unit}`;
}
