/** Options and arguments of a command: node:util's parser, with messages that name the nearest known word. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { FourfoldError, nearest, show } from "../errors.ts";
import { COMMANDS } from "./usage.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** What a command line holds. */
export type Parsed<T extends Options> = ReturnType<typeof parseArgs<{ args: string[]; options: T; allowPositionals: true }>>;

/** The error for a command line that cannot be understood. */
export function usageError(message: string, fix: string, given?: unknown): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_ARGUMENT", message, { given, fix });
}

/** The error for a word that is no command or option of `fourfold` itself. */
export function unknownName(kind: "command" | "option", name: string): FourfoldError {
  const known = kind === "command" ? [...COMMANDS, "help"] : ["--help", "--version"];
  return usageError(`there is no ${kind} ${show(name)}`, didYouMean(name, known, `fourfold --help lists the ${kind}s`), name);
}

function didYouMean(name: string, known: readonly string[], otherwise: string): string {
  const meant = nearest(name, known);
  return meant === undefined ? otherwise : `Did you mean ${meant}?`;
}

/**
 * Reads the options and arguments of `command`.
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT for an unknown option, a missing value, or an option given twice
 */
export function readArgs<T extends Options>(command: string, args: readonly string[], options: T): Parsed<T> {
  const known = Object.keys(options).map((name) => `--${name}`);
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true, allowPositionals: true });
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const { name, rawName, value } = token;
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (option === undefined)
      throw usageError(
        `${command} has no option ${show(rawName)}`,
        didYouMean(rawName, [...known, "--help"], `fourfold ${command} --help lists them`),
        rawName,
      );
    if (option.type === "string" && (value === undefined || value === "" || (!token.inlineValue && value.startsWith("-") && value !== "-")))
      throw usageError(
        `option --${name} needs a value`,
        value ? `Write --${name}=${value} if ${show(value)} is the value` : `Write --${name} VALUE`,
        rawName,
      );
    if (option.type === "boolean" && value !== undefined)
      throw usageError(`option --${name} takes no value, given ${show(value)}`, `Write --${name}`, value);
    if (option.multiple !== true && seen.has(name)) throw usageError(`option --${name} is given twice`, "Keep one of them", rawName);
    seen.add(name);
  }
  return parseArgs({ args: [...args], options, strict: true, allowPositionals: true }) as Parsed<T>;
}

/** One of the allowed values of an option. */
export function choice<T extends string>(option: string, given: string | undefined, allowed: readonly T[]): T | undefined {
  if (given === undefined || allowed.includes(given as T)) return given as T | undefined;
  throw usageError(
    `option --${option}: given ${show(given)}, expected ${allowed.join(", ")}`,
    didYouMean(given, allowed, `Use one of ${allowed.join(", ")}`),
    given,
  );
}

/** A whole number given as an option. */
export function wholeNumber(option: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  if (!/^\d{1,9}$/.test(given))
    throw usageError(`option --${option}: given ${show(given)}, expected a whole number`, `Write --${option} 4`, given);
  return Number(given);
}

/** A number of bytes given as an option. */
export function byteCount(option: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const bytes = /^\d{1,16}$/.test(given) ? Number(given) : 0;
  if (bytes < 1 || !Number.isSafeInteger(bytes))
    throw usageError(`option --${option}: given ${show(given)}, expected a number of bytes`, `Write --${option} 2000000000`, given);
  return bytes;
}

/** The entries of options that take lists: `a,b` or the option again. */
export function listed(option: string, given: readonly string[] | undefined): string[] | undefined {
  if (given === undefined) return undefined;
  const entries = given.flatMap((list) => list.split(","));
  if (entries.includes(""))
    throw usageError(`option --${option}: an entry of ${show(given.join(","))} is empty`, "Separate entries by single commas", given);
  return entries;
}
