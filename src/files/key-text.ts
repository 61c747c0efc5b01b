/** Dates and times as keys: the texts that DuckDB makes of them, so that tables in memory and specs over files have the same keys. */

const DAY_MS = 86_400_000;
/** Years of four digits; before and after them DuckDB writes something else than ISO 8601. */
const FIRST_MS = Date.UTC(0, 0, 1) - 1900 * 365.2425 * DAY_MS;

/** Digits after the second, by unit. */
const DIGITS = { s: 0, ms: 3, us: 6, ns: 9 } as const;

/** A unit of timestamps. */
export type TimeUnit = keyof typeof DIGITS;

/** 2024-05-06 from days since 1970-01-01; undefined beyond the years 1 to 9999. */
export function dateText(days: number): string | undefined {
  return isoOf(days * DAY_MS)?.slice(0, 10);
}

/** "2024-05-06 07:08:09.12" from units since 1970-01-01, in UTC, with "+00" behind it if it has a zone; undefined beyond the years 1 to 9999. */
export function timestampText(value: bigint, unit: TimeUnit, hasZone: boolean): string | undefined {
  const digits = DIGITS[unit];
  const perSecond = 10n ** BigInt(digits);
  const fraction = ((value % perSecond) + perSecond) % perSecond;
  const iso = isoOf(Number((value - fraction) / perSecond) * 1000);
  if (iso === undefined) return undefined;
  const after = fraction === 0n ? "" : `.${String(fraction).padStart(digits, "0").replace(/0+$/, "")}`;
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}${after}${hasZone ? "+00" : ""}`;
}

function isoOf(ms: number): string | undefined {
  if (!(ms >= FIRST_MS)) return undefined;
  const date = new Date(ms);
  const year = date.getUTCFullYear();
  return year >= 1 && year <= 9999 ? date.toISOString() : undefined;
}
