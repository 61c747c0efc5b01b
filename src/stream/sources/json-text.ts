/**
 * A look at the text of one JSON value, for the few records that need more than its value: where it stops being JSON, and the text of each
 * member. It makes no values, keeps no recursion, and is used only for records that are odd.
 */

const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const COLON = 58;
const COMMA = 44;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const ESCAPE = /["\\/bfnrt]|u[0-9a-fA-F]{4}/y;

/** Matches `pattern` at `at`: the end of the match, or -1. */
function match(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : -1;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break;
  }
  return at;
}

/** The end of the string that opens at `from`, or minus the place of its fault, less one. */
function stringEnd(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (c === QUOTE) return at + 1;
    if (c < 0x20) return -at - 1;
    if (c !== BACKSLASH) continue;
    const end = match(ESCAPE, text, at + 1);
    if (end < 0) return -at - 1;
    at = end - 1;
  }
  return -text.length - 1;
}

/** The end of the number, string or word at `at`, or minus the place of its fault, less one. */
function scalarEnd(text: string, at: number): number {
  if (text.charCodeAt(at) === QUOTE) return stringEnd(text, at);
  const end = Math.max(match(NUMBER, text, at), match(WORD, text, at));
  return end < 0 ? -at - 1 : end;
}

/**
 * Reads `text` as one JSON value. `member` is told the key of each member of the outermost object, and where its value begins and ends.
 * Returns where the text stops being JSON, from 0; -1 if it is JSON.
 */
export function scanJson(text: string, member?: (key: string, start: number, end: number) => void): number {
  /** Brackets that are open. */
  const open: number[] = [];
  let key = "";
  let start = 0;
  /** True after `{` or `,` in an object; true if a closing bracket may follow at once. */
  let wantsKey = false;
  let mayClose = false;
  let at = skipSpace(text, 0);
  for (;;) {
    const c = text.charCodeAt(at);
    const inside = open.at(-1);
    let ended = false;
    if (mayClose && ((c === CLOSE_BRACE && inside === OPEN_BRACE) || (c === CLOSE_BRACKET && inside === OPEN_BRACKET))) {
      open.pop();
      at++;
      ended = true;
    } else if (wantsKey) {
      if (c !== QUOTE) return at;
      const end = stringEnd(text, at);
      if (end < 0) return -end - 1;
      if (open.length === 1) key = JSON.parse(text.slice(at, end)) as string;
      at = skipSpace(text, end);
      if (text.charCodeAt(at) !== COLON) return at;
      at = skipSpace(text, at + 1);
      if (open.length === 1) start = at;
      wantsKey = false;
      mayClose = false;
      continue;
    } else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
      open.push(c);
      at = skipSpace(text, at + 1);
      wantsKey = c === OPEN_BRACE;
      mayClose = true;
      continue;
    } else {
      const end = scalarEnd(text, at);
      if (end < 0) return -end - 1;
      at = end;
      ended = true;
    }
    // A value has ended: perhaps those around it, too.
    while (ended) {
      if (open.length === 1 && open[0] === OPEN_BRACE) member?.(key, start, at);
      at = skipSpace(text, at);
      if (open.length === 0) return at === text.length ? -1 : at;
      const next = text.charCodeAt(at);
      if (next === COMMA) {
        at = skipSpace(text, at + 1);
        wantsKey = open.at(-1) === OPEN_BRACE;
        mayClose = false;
        ended = false;
      } else if (next === (open.at(-1) === OPEN_BRACE ? CLOSE_BRACE : CLOSE_BRACKET)) {
        open.pop();
        at++;
      } else return at;
    }
  }
}

/** The text of a member of the object `text`, as it stands there; of the last, if there are several. Undefined if there is none. */
export function memberText(text: string, name: string): string | undefined {
  let found: string | undefined;
  scanJson(text, (key, start, end) => {
    if (key === name) found = text.slice(start, end);
  });
  return found;
}

/** True if `text`, whose value is finite, is an integer that float64 does not hold: its value is then another one. */
export function losesDigits(text: string): boolean {
  const digits = /^[+-]?0*(\d+)$/.exec(text)?.[1];
  return digits !== undefined && BigInt(digits) !== BigInt(Number(digits));
}
