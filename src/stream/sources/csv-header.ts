/** The header of a CSV source: which column is what the stream asks for. */
import { FourfoldError, nearest, show } from "../../errors.ts";
import { numberOf } from "./csv-record.ts";
import type { BoundFields } from "./fields.ts";

/** Strings of V8 from this length on are views of the string they were cut from, which they keep in memory. */
const VIEW_LENGTH = 13;

type Cell = unknown;

/** How a cell becomes what the readers of records take. */
const KINDS = {
  number: numberOf,
  /** Keys may live as long as the stream: they hold no line in memory. */
  key: (cell: string): Cell => (cell === "" ? null : cell.length < VIEW_LENGTH ? cell : Buffer.from(cell).toString()),
  /** Digits count, everything else is a date. */
  time: (cell: string): Cell => {
    const number = numberOf(cell);
    return typeof number === "string" ? cell.trim() : number;
  },
  frame: (cell: string): Cell => {
    try {
      return JSON.parse(cell);
    } catch {
      return cell;
    }
  },
} as const;

type Kind = keyof typeof KINDS;

interface Slot {
  /** What the readers of records call it. */
  readonly name: string;
  readonly column: number;
  readonly read: (cell: string) => Cell;
}

/** Joins a header with the fields of a stream. */
export class Header {
  /** Cells that each record must have. */
  readonly width: number;
  /** The fields under names that are unique for each way to read a cell. */
  readonly fields: BoundFields;
  readonly #slots: readonly Slot[];
  readonly #cells: Record<string, Cell> = {};
  #record: readonly string[] = [];

  /** @throws FourfoldError ERR_FOURFOLD_COLUMN if a column is missing, or there twice */
  constructor(source: string, columns: readonly string[], fields: BoundFields) {
    this.width = columns.length;
    const slots: (Slot & { kind: Kind })[] = [];
    const slot = (field: string, kind: Kind): string => {
      const column = columns.indexOf(field);
      if (column < 0) throw noColumn(source, columns, field);
      if (columns.indexOf(field, column + 1) > 0)
        throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${source}: two columns are called ${show(field)}`, {
          given: columns,
          at: { file: source, column: field },
          fix: "Give each a name of its own",
        });
      const same = slots.find((one) => one.column === column && one.kind === kind);
      if (same !== undefined) return same.name;
      const name = slots.some((one) => one.name === field) ? `${field} (as a ${kind})` : field;
      slots.push({ name, column, kind, read: KINDS[kind] });
      return name;
    };
    this.fields = {
      ...fields,
      value: slot(fields.value, fields.frameValues === undefined ? "number" : "frame"),
      keys: fields.keys.map((key) => slot(key, "key")),
      path: fields.path === undefined ? undefined : slot(fields.path, "key"),
      time: fields.time === undefined ? undefined : slot(fields.time, "time"),
      weight: fields.weight === undefined ? undefined : slot(fields.weight, "number"),
      childWeights: fields.childWeights.map(({ level, field }) => ({ level, field: slot(field, "number") })),
    };
    this.#slots = slots;
    // All properties are there before the first record, so that the object keeps one shape.
    for (const { name } of slots) this.#cells[name] = null;
  }

  /** The cells of a record by name: one object, overwritten by the next record. */
  record(cells: readonly string[]): object {
    this.#record = cells;
    const slots = this.#slots;
    for (let i = 0; i < slots.length; i++) {
      const { name, column, read } = slots[i]!;
      this.#cells[name] = read(cells[column]!);
    }
    return this.#cells;
  }

  /** The text of a cell of the last record. */
  readonly textOf = (name: string): string | undefined => {
    const slot = this.#slots.find((one) => one.name === name);
    return slot === undefined ? undefined : this.#record[slot.column]!.trim();
  };
}

function noColumn(source: string, columns: readonly string[], field: string): FourfoldError {
  const meant = nearest(field, columns);
  return new FourfoldError("ERR_FOURFOLD_COLUMN", `${source}: there is no column ${show(field)}; the header has ${show(columns)}`, {
    given: columns,
    expected: field,
    at: { file: source, line: 1, column: field },
    fix:
      meant === undefined
        ? "Name the columns with the option fields, or columns if there is no header line"
        : `Did you mean ${show(meant)}?`,
  });
}
