/**
 * Event times: numbers in a unit, or text in the usual forms. Text without a zone is UTC: the machine's own zone and locale never count, so
 * the same bytes mean the same times everywhere. (`Date.parse` reads "2024-01-02 03:04" in the machine's zone.)
 */

/** What a time given as a number counts. */
export type TimeUnit = "s" | "ms" | "us" | "ns";

/** Units as [times, divided by]: one of the two is 1, so that a time is rounded once. */
const UNITS: Readonly<Record<TimeUnit, readonly [number, number]>> = { s: [1000, 1], ms: [1, 1], us: [1, 1000], ns: [1, 1_000_000] };

/** The names of {@link TimeUnit}. */
export const TIME_UNITS: readonly string[] = Object.keys(UNITS);

/** The farthest time that a Date holds, either way: 100,000,000 days. */
const MS_MAX = 8.64e15;
const DAY_MS = 86_400_000;

const ZERO = 48;
const DASH = 45;
const SLASH = 47;
const COLON = 58;
const DOT = 46;
const COMMA = 44;

/** A number in `unit` as milliseconds; NaN if it is none, or too far. */
export function timeOfNumber(value: number, unit: TimeUnit): number {
  const [times, by] = UNITS[unit];
  const ms = (value * times) / by;
  return Math.abs(ms) <= MS_MAX ? ms : Number.NaN;
}

/** The number that `count` digits at `at` make; NaN if one of them is no digit. */
function digits(text: string, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

const LENGTHS: readonly number[] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Days from 1970-01-01 to a date of the proleptic Gregorian calendar; NaN if there is no such date. */
function daysTo(year: number, month: number, day: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const length = month === 2 && leap ? 29 : LENGTHS[month - 1];
  if (length === undefined || !(day >= 1 && day <= length)) return Number.NaN;
  // Years from March on put the leap day last (Howard Hinnant, "chrono-compatible low-level date algorithms").
  const y = month > 2 ? year : year - 1;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468;
}

/** Minutes east of UTC at `at`: "Z", "+HH", "+HHMM" or "+HH:MM", to the end of the text; NaN otherwise. */
function zone(text: string, at: number): number {
  const sign = text[at];
  if (sign === "Z" || sign === "z") return at + 1 === text.length ? 0 : Number.NaN;
  if (sign !== "+" && sign !== "-") return Number.NaN;
  const hours = digits(text, at + 1, 2);
  const rest = text.length - at;
  let minutes = 0;
  if (rest === 5) minutes = digits(text, at + 3, 2);
  else if (rest === 6) minutes = text.charCodeAt(at + 3) === COLON ? digits(text, at + 4, 2) : Number.NaN;
  else if (rest !== 3) return Number.NaN;
  if (!(hours <= 23 && minutes <= 59)) return Number.NaN;
  return (sign === "-" ? -1 : 1) * (hours * 60 + minutes);
}

/**
 * Text as milliseconds since 1970: `YYYY-MM-DD` or `YYYY/MM/DD`, then nothing or (after "T" or a space) `HH:MM`, `:SS`, `.fraction` and a
 * zone. NaN for everything else, dates that do not exist included. Digits of the fraction beyond the ninth are dropped.
 */
export function timeOfText(text: string): number {
  const dash = text.charCodeAt(4);
  if ((dash !== DASH && dash !== SLASH) || text.charCodeAt(7) !== dash) return Number.NaN;
  const days = daysTo(digits(text, 0, 4), digits(text, 5, 2), digits(text, 8, 2));
  if (text.length === 10 || days !== days) return days * DAY_MS;
  const between = text[10];
  if (between !== "T" && between !== " " && between !== "t") return Number.NaN;
  const hours = digits(text, 11, 2);
  const minutes = digits(text, 14, 2);
  if (!(hours <= 23 && minutes <= 59) || text.charCodeAt(13) !== COLON) return Number.NaN;
  let at = 16;
  let seconds = 0;
  let fraction = 0;
  if (text.charCodeAt(at) === COLON) {
    seconds = digits(text, at + 1, 2);
    if (!(seconds <= 59)) return Number.NaN;
    at += 3;
    const point = text.charCodeAt(at);
    if (point === DOT || point === COMMA) {
      const first = ++at;
      while (at < text.length && text.charCodeAt(at) >= ZERO && text.charCodeAt(at) <= ZERO + 9) at++;
      const count = Math.min(at - first, 9);
      if (count === 0) return Number.NaN;
      fraction = (digits(text, first, count) * 1000) / 10 ** count;
    }
  }
  const east = at === text.length ? 0 : zone(text, at);
  return days * DAY_MS + (hours * 60 + minutes - east) * 60_000 + seconds * 1000 + fraction;
}
