/** A view that is drawn again and again on a terminal's second screen, and gone with its last trace when it ends, however that is. */

/** Four times a second: as fast as one can read. */
const DRAW_EVERY_MS = 250;

const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const REST_OF_LINE = "\x1b[K";
const REST_OF_SCREEN = "\x1b[J";
/** Between these, terminals that know them show nothing halfway. */
const BEGIN = "\x1b[?2026h";
const END = "\x1b[?2026l";

/** What a screen is drawn on. */
export interface ScreenTerminal {
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
  on(event: "resize", draw: () => void): unknown;
  off(event: "resize", draw: () => void): unknown;
}

/** A screen. */
export interface Screen {
  /** Gives the terminal back as it was. */
  close(): void;
}

/** Draws the lines that `view` gives for the terminal's size: now, four times a second, and when the size changes. */
export function openScreen(terminal: ScreenTerminal, view: (columns: number, rows: number) => readonly string[]): Screen {
  const draw = (): void => {
    const { columns, rows } = terminal;
    const lines = view(columns || 80, rows || 24);
    terminal.write(`${BEGIN}${HOME}${lines.map((text) => `${text}${REST_OF_LINE}`).join("\r\n")}${REST_OF_SCREEN}${END}`);
  };
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    clearInterval(timer);
    terminal.off("resize", draw);
    process.off("exit", close);
    terminal.write(LEAVE);
  };
  terminal.write(ENTER);
  draw();
  const timer = setInterval(draw, DRAW_EVERY_MS);
  terminal.on("resize", draw);
  process.on("exit", close); // a second Ctrl-C ends the process at once
  return { close };
}
