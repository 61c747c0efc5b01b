/**
 * A condition or an expression of a spec: untrusted SQL text that becomes a part of our own statements. What it may say is decided on DuckDB's
 * syntax tree, like a whole SELECT (sql.ts); here it is made sure that it is one expression, and ends where it ends.
 */
import { FourfoldError } from "../errors.ts";
import type { Database, Watch } from "./duckdb.ts";
import { type Allowed, readerPath } from "./folders.ts";
import { hasCollation, replacePaths, singleSelect, sqlPaths, type Tree } from "./sql.ts";

/** The text is put between these, here and wherever it is used, so that both read the same. The line's end closes a comment. */
const BEFORE = "(";
const AFTER = "\n)";
const SELECT = "select ";

/** Functions whose results differ from run to run. */
const RANDOM = ["random", "uuid", "uuidv4", "uuidv7", "gen_random_uuid"];

/** What the tree of `select (expression)` holds, and nothing else. */
const STATEMENT_KEYS = ["node"];
const NODE_KEYS = ["type", "select_list", "from_table", "aggregate_handling"];

/** A checked expression. */
export interface Expression {
  /** In parentheses, its paths absolute. */
  readonly sql: string;
  readonly collated: boolean;
}

/**
 * Checks an expression over the columns of a source. Subqueries may read what the spec may.
 * @throws FourfoldError ERR_FOURFOLD_FORBIDDEN, ERR_FOURFOLD_SPEC
 */
export async function checkExpression(db: Database, text: string, allowed: Allowed, watch: Watch): Promise<Expression> {
  const { sql, statement, paths } = await parsed(db, text, watch);
  const node = statement["node"] as Tree;
  const list = node["select_list"];
  const only = (tree: Tree, keys: readonly string[]): boolean => Object.keys(tree).every((key) => keys.includes(key));
  if (
    !only(statement, [...STATEMENT_KEYS, "named_param_map"]) ||
    !only(node, NODE_KEYS) ||
    node["type"] !== "SELECT_NODE" ||
    (node["from_table"] as Tree)["type"] !== "EMPTY" ||
    !Array.isArray(list) ||
    list.length !== 1
  )
    throw new FourfoldError("ERR_FOURFOLD_FORBIDDEN", "the SQL is not a single expression", {
      given: text,
      fix: 'Write one expression over the columns of the source, or a whole SELECT as the source\'s "sql"',
    });
  refuseOutside(list[0]);
  const absolute = replacePaths(sql, paths, (path) => readerPath(path, allowed));
  return { sql: absolute.slice(SELECT.length), collated: hasCollation(statement) };
}

/** The files that the subqueries of an expression name. @throws FourfoldError ERR_FOURFOLD_FORBIDDEN, ERR_FOURFOLD_SPEC */
export async function expressionPaths(db: Database, text: string, watch: Watch): Promise<readonly string[]> {
  return (await parsed(db, text, watch)).paths.map(({ path }) => path);
}

async function parsed(
  db: Database,
  text: string,
  watch: Watch,
): Promise<{ sql: string; statement: Tree; paths: ReturnType<typeof sqlPaths> }> {
  const sql = SELECT + BEFORE + text + AFTER;
  const statement = singleSelect(await db.syntax(sql, watch));
  return { sql, statement, paths: sqlPaths(sql, statement) };
}

/** Refuses what an expression over one record cannot have. A subquery has rows of its own. */
function refuseOutside(tree: unknown): void {
  const open: unknown[] = [tree];
  while (open.length > 0) {
    const node = open.pop();
    if (typeof node !== "object" || node === null) continue;
    const { class: kind, function_name: name } = node as { class?: unknown; function_name?: unknown };
    if (kind === "CONSTANT") continue;
    if (kind === "STAR") throw refused("* stands for many columns", "Name the columns");
    if (kind === "WINDOW") throw refused("a window function looks at other records", 'Use it in the source\'s "sql"');
    if (kind === "FUNCTION" && RANDOM.includes(String(name).toLowerCase()))
      throw refused(`${String(name).toLowerCase()}() gives another number in each run`, "Leave it out: the same inputs give the same bits");
    for (const [key, child] of Object.entries(node)) if (!(kind === "SUBQUERY" && key === "subquery")) open.push(child);
  }
}

function refused(what: string, fix: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_FORBIDDEN", `in an expression ${what}`, { fix });
}
