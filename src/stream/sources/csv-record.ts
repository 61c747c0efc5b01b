/** The text of one CSV record (RFC 4180) → its cells. A quote opens a cell only at its start; inside, two of them stand for one. */

const QUOTE = '"';

/** The cells of a record; "open" if its last cell has no closing quote; or the column, from 1, where it is not CSV. */
export type Cells = readonly string[] | "open" | number;

/** Cuts a record without quotes. */
export function plainCells(text: string, delimiter: string): string[] {
  return text.split(delimiter);
}

/** Cuts a record that may hold quotes, and line breaks inside them. */
export function quotedCells(text: string, delimiter: string): Cells {
  const cells: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] !== QUOTE) {
      const next = text.indexOf(delimiter, at);
      const end = next < 0 ? text.length : next;
      const cell = text.slice(at, end);
      const stray = cell.indexOf(QUOTE);
      if (stray >= 0) return at + stray + 1;
      cells.push(cell);
      at = end;
    } else {
      let cell = "";
      for (at++; ; ) {
        const end = text.indexOf(QUOTE, at);
        if (end < 0) return "open";
        cell += text.slice(at, end);
        at = end + 1;
        if (text[at] !== QUOTE) break;
        cell += QUOTE;
        at++;
      }
      cells.push(cell);
      if (at < text.length && text[at] !== delimiter) return at + 1;
    }
    if (at === text.length) return cells;
    at++;
  }
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const SPECIAL = /^([+-]?)(?:(nan)|inf|infinity)$/i;

/** A cell as a number: null where it is empty, the text itself where it is none. Blanks around it do not count. */
export function numberOf(cell: string): number | string | null {
  const text = cell.trim();
  if (NUMBER.test(text)) return Number(text);
  if (text === "") return null;
  const special = SPECIAL.exec(text);
  if (special === null) return cell;
  return special[2] !== undefined ? Number.NaN : special[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}
