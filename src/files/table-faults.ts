/** What can be wrong with the records of a table, as errors that name the row, the key and the place in the spec. A second reading finds the row. */
import { FourfoldError, show } from "../errors.ts";
import type { Key } from "../reduce/key.ts";
import type { Database, Watch } from "./duckdb.ts";
import { asDouble, keySql, type NumberColumn, type Opened, placed, rowWhere, showKey } from "./source.ts";
import type { SpecContent, SpecLevel } from "./spec.ts";
import type { Grouping } from "./table-grouping.ts";

/** What the errors of a reading are about. */
export class TableFaults {
  readonly #db: Database;
  readonly #spec: SpecContent;
  readonly #source: Opened;
  readonly #watch: Watch;

  constructor(db: Database, spec: SpecContent, source: Opened, watch: Watch) {
    this.#db = db;
    this.#spec = spec;
    this.#source = source;
    this.#watch = watch;
  }

  /** An integer beyond 2^53. */
  async inexactInteger(columns: readonly (NumberColumn | undefined)[], key: readonly Key[]): Promise<FourfoldError> {
    const tested = columns.flatMap((one) => (one?.inexact === undefined ? [] : [{ name: one.name, test: one.inexact }]));
    const tests = tested.map(({ test }) => test);
    const first = await rowWhere(this.#db, this.#source, tests.join(" or "), this.#watch, tests);
    const row = first?.row;
    // Which columns are tested depends on how they are read; which one is at fault does not.
    const column = (tested.find((_, i) => first?.cells[i] === true) ?? tested[0]) as { readonly name: string };
    return new FourfoldError(
      "ERR_FOURFOLD_INTEGER",
      `column ${show(column.name)} holds an integer beyond 2^53${inRow(row)} (${this.#node(key)})`,
      {
        expected: "integers from -2^53 to 2^53",
        at: { column: column.name, ...(row === undefined ? {} : { row }) },
        fix: `To accept rounding, cast it in the SQL: ${column.name}::DOUBLE; or say "int64": "number"`,
      },
    );
  }

  /** A NaN or null under nan: "error". */
  async missingValue({ value, weight }: Grouping, key: readonly Key[]): Promise<FourfoldError> {
    const level = (this.#spec.levels[0] as SpecLevel).name;
    const tests = [value, weight].filter((column) => column !== undefined).map((column) => `isnan(${asDouble(column)})`);
    const row = await this.#rowWhere(tests.join(" or "));
    return new FourfoldError(
      "ERR_FOURFOLD_NAN",
      `level ${show(level)}: a NaN or null${inRow(row)} of column ${show(value.name)} (${this.#node(key)})`,
      {
        at: { level, column: value.name, ...(row === undefined ? {} : { row }) },
        fix: 'Fill it in, or use nan: "skip" or "propagate"',
      },
    );
  }

  /** A record without a weight. */
  async missingWeight(i: number, column: NumberColumn, key: readonly Key[]): Promise<FourfoldError> {
    const { name } = this.#spec.levels[i] as SpecLevel;
    const row = await this.#rowWhere(column.absent as string);
    return placed(
      new FourfoldError(
        "ERR_FOURFOLD_WEIGHTS",
        `level ${show(name)}: column ${show(column.name)} is null${inRow(row)}, so there is no weight (${this.#node(key)})`,
        {
          expected: "a weight",
          at: { level: name, column: column.name, ...(row === undefined ? {} : { row }) },
          fix: 'Fill it in, or say "missing": 0 or 1 beside it',
        },
      ),
      this.#spec.document,
      `/levels/${i}/weights`,
    ) as FourfoldError;
  }

  /** A null key under nullKeys: "error". */
  async nullKey(names: readonly string[], key: readonly Key[]): Promise<FourfoldError> {
    const name = names[key.indexOf(null)] as string;
    const row = await this.#rowWhere(`(${keySql(this.#source, name, "a key")}) is null`);
    return new FourfoldError("ERR_FOURFOLD_KEYS", `key column ${show(name)} is null or NaN${inRow(row)}`, {
      expected: "a key",
      at: { column: name, ...(row === undefined ? {} : { row }) },
      fix: 'Fill it in, or say "nullKeys": "skip" or "group"',
    });
  }

  /** A weight that differs within a child. */
  varies(i: number, column: string, key: readonly Key[], first: number, other: number): FourfoldError {
    const level = this.#spec.levels[i] as SpecLevel;
    const child = this.#spec.levels[i - 1] as SpecLevel;
    return placed(
      new FourfoldError(
        "ERR_FOURFOLD_WEIGHTS",
        `level ${show(level.name)}: column ${show(column)} is not constant within ${child.name} (${showKey(child.by, key)}): it has ${first} and ${other}`,
        {
          given: [first, other],
          expected: "one value for each child",
          at: { level: level.name, column },
          fix: `Make it constant in the SQL, e.g. max(${column}) over (partition by ${child.by.join(", ") || "true"})`,
        },
      ),
      this.#spec.document,
      `/levels/${i}/weights`,
    ) as FourfoldError;
  }

  #node(key: readonly Key[]): string {
    return showKey((this.#spec.levels[0] as SpecLevel).by, key);
  }

  async #rowWhere(test: string): Promise<number | undefined> {
    return (await rowWhere(this.#db, this.#source, test, this.#watch))?.row;
  }
}

const inRow = (row: number | undefined): string => (row === undefined ? "" : ` in row ${row}`);
