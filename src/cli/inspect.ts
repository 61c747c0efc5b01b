/** `fourfold inspect`: opens a result that a run wrote: a node's children and what each gives to its value, or why it is not what it was. */
import { FourfoldError, show } from "../errors.ts";
import { openResult, type StoredNode, type StoredResult, type TopOptions } from "../files/index.ts";
import { choice, type Parsed, readArgs, usageError, wholeNumber } from "./args.ts";
import { openDestination } from "./destination.ts";
import { EXIT } from "./failure.ts";
import { refuseInput } from "./inputs.ts";
import { csvChange, csvChildren, csvNodes, jsonChange, jsonChildren, jsonNodes } from "./inspect-formats.ts";
import { tableChange, tableChildren, tableNodes } from "./inspect-table.ts";

const OPTIONS = {
  path: { type: "string" },
  separator: { type: "string" },
  key: { type: "string", multiple: true },
  level: { type: "string" },
  top: { type: "string" },
  output: { type: "string" },
  diff: { type: "string" },
  format: { type: "string" },
  out: { type: "string" },
  verbose: { type: "boolean" },
} as const;

/** Lines of a table without --top. */
const TOP = 20;

/** What is shown: one node's children, or all nodes of a level. */
type Start = { readonly node: StoredNode } | { readonly level: string };

/** Opens it; returns the exit code. */
export async function inspect(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = readArgs("inspect", args, OPTIONS);
  const [file, extra] = positionals;
  if (file === undefined) throw usageError("inspect needs a result", "fourfold inspect --help shows examples");
  if (extra !== undefined)
    throw usageError(`inspect takes one result, given ${show(file)} and ${show(extra)}`, "Compare two with --diff", positionals);
  const keys = keysOf(values);
  const format = choice("format", values.format, ["table", "json", "csv"]) ?? "table";
  const top = topOf(values.top) ?? (format === "table" ? TOP : Number.POSITIVE_INFINITY);
  const options: TopOptions = { top, output: wholeNumber("output", values.output) ?? 0 };
  await refuseInput(values.out, async () => [file, ...(values.diff === undefined ? [] : [values.diff])]);
  const destination = await openDestination(values.out);
  const { colour } = destination;
  const result = await openResult(file, { signal });
  const start = startOf(result, keys, values.level);
  let texts: Iterable<string>;
  if (values.diff !== undefined) {
    if (!("node" in start))
      throw usageError(`level ${show(start.level)} has several nodes, --diff compares one`, "Name it with --path", values.diff);
    const before = await openResult(values.diff, { signal });
    const change = result.diff(before, start.node, options);
    texts = {
      table: () => tableChange(before, result, change, colour),
      json: () => jsonChange(before, result, change),
      csv: () => csvChange(result, change),
    }[format]();
  } else if ("node" in start) {
    const opened = result.levels[0]!.name === start.node.level ? undefined : result.contributions(start.node, options);
    texts = {
      table: () => tableChildren(result, start.node, opened, colour),
      json: () => jsonChildren(result, start.node, opened),
      csv: () => csvChildren(result, start.node, opened),
    }[format]();
  } else {
    const { level } = start;
    texts = {
      table: () => tableNodes(result, level, top, colour),
      json: () => jsonNodes(result, level),
      csv: () => csvNodes(result, level),
    }[format]();
  }
  await destination.write(texts, signal);
  return EXIT.ok;
}

/** The keys that --path or --key name; undefined without both. */
function keysOf({ path, separator = "/", key }: Parsed<typeof OPTIONS>["values"]): string[] | undefined {
  if (path !== undefined && key !== undefined)
    throw usageError(
      "--path and --key are given, which both name the node",
      "Keep one: --key takes a key as it is, and may be repeated",
      path,
    );
  return key ?? path?.split(separator);
}

function topOf(given: string | undefined): number | undefined {
  if (given === "all") return Number.POSITIVE_INFINITY;
  const top = wholeNumber("top", given);
  if (top === 0) throw usageError("option --top: given 0, expected 1 or more, or all", "Write --top 10", given);
  return top;
}

/**
 * Where to begin. A path may begin with the name of the outermost level, where that has no keys: nation/TX/DFW. Without a path it is the only
 * node of the level, or all of its nodes.
 */
function startOf(result: StoredResult, keys: readonly string[] | undefined, level: string | undefined): Start {
  const outermost = result.levels.at(-1)!;
  if (keys === undefined) {
    const named = level === undefined ? outermost : result.levels.find(({ name }) => name === level);
    if (named === undefined) return { node: result.at([], { level: level! }) }; // which says what levels there are
    return named.nodes === 1 ? { node: [...result.nodes(named.name)][0]! } : { level: named.name };
  }
  const isNamed = outermost.keys.length === 0 && keys[0] === outermost.name;
  const path = isNamed ? keys.slice(1) : keys;
  try {
    return { node: result.at(path, level === undefined ? {} : { level }) };
  } catch (error) {
    // A first key may be called as the level is.
    if (!isNamed || !(error instanceof FourfoldError)) throw error;
    try {
      return { node: result.at(keys, level === undefined ? {} : { level }) };
    } catch {
      throw error;
    }
  }
}
