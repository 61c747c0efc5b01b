/** The nodes of all levels, read from the rows of the table `grouped`: an outer level is cut where a key changes. */
import type { GroupedLevel } from "../reduce/grouped.ts";
import type { Key } from "../reduce/key.ts";
import { oneType } from "../reduce/rolled.ts";
import type { Database, Watch } from "./duckdb.ts";
import { keyCell } from "./source.ts";
import type { SpecContent, SpecLevel } from "./spec.ts";
import type { TableFaults } from "./table-faults.ts";
import type { ConstantWeight, Grouping } from "./table-grouping.ts";

/** A level while its nodes arrive. */
export class LevelBuilder {
  readonly level: SpecLevel;
  readonly depth: number;
  readonly keys: Key[][];
  readonly starts: number[] = [];
  constructor(level: SpecLevel) {
    this.level = level;
    this.depth = level.by.length;
    this.keys = level.by.map(() => []);
  }
  open(start: number, key: readonly Key[]): void {
    this.starts.push(start);
    for (let k = 0; k < this.depth; k++) (this.keys[k] as Key[]).push(key[k] as Key);
  }
  /** Forgets all nodes but the last. */
  forget(): void {
    this.starts.splice(0, this.starts.length - 1);
    for (const column of this.keys) column.splice(0, column.length - 1);
  }
  keyAt(node: number): Key[] {
    return this.keys.map((column) => column[node] as Key);
  }
  /** The level with its weights; the last node ends with the last of `children`. */
  grouped(children: number, weights: GroupedLevel["weights"] | undefined): GroupedLevel {
    const { name, by, reduce, ddof } = this.level;
    const nodes = this.starts.length;
    const offsets = new Uint32Array(nodes + 1);
    offsets.set(this.starts);
    offsets[nodes] = children;
    return {
      name,
      keyNames: by,
      keys: this.keys.map(oneType),
      nodes,
      offsets,
      reduce,
      ...(ddof === undefined ? {} : { ddof }),
      ...(weights === undefined ? {} : { weights }),
    };
  }
}

/** The nodes of all levels, and what was found on the way. */
export interface Nodes {
  readonly builders: readonly LevelBuilder[];
  /** Records of each innermost node. */
  readonly counts: readonly number[];
  readonly records: number;
  readonly nulls: number;
  /** Weights from columns, by level. */
  readonly constants: ReadonlyMap<number, readonly number[]>;
}

/** Reads the nodes of the table `grouped`. @throws FourfoldError for what is wrong with the records of the first node that has something wrong */
export function readNodes(db: Database, spec: SpecContent, plan: Grouping, faults: TableFaults, watch: Watch): Promise<Nodes> {
  const columns = Array.from({ length: plan.columns }, (_, i) => `a${i}`);
  return readRows(db, spec, plan, `select ${columns.join(", ")} from grouped`, true, faults, watch);
}

/** Looks at the nodes one after the other, and keeps none. @throws FourfoldError as readNodes does */
export async function checkNodes(db: Database, spec: SpecContent, plan: Grouping, faults: TableFaults, watch: Watch): Promise<void> {
  await readRows(db, spec, plan, plan.described, false, faults, watch);
}

async function readRows(
  db: Database,
  spec: SpecContent,
  plan: Grouping,
  sql: string,
  kept: boolean,
  faults: TableFaults,
  watch: Watch,
): Promise<Nodes> {
  const builders = spec.levels.map((level) => new LevelBuilder(level));
  const names = (spec.levels[0] as SpecLevel).by;
  const counts: number[] = [];
  const constants = new Map(plan.constants.map(({ level }) => [level, [] as number[]]));
  let records = 0;
  let nulls = 0;
  let previous: Key[] | undefined;
  const columns = Array.from({ length: plan.columns }, (_, i) => i);
  for await (const chunk of db.chunks(sql, watch)) {
    const cells = columns.map((i) => chunk.cells(i));
    for (let row = 0; row < chunk.rows; row++) {
      const cell = (column: number): number => Number((cells[column] as unknown[])[row]);
      const some = (column: number | undefined): boolean => column !== undefined && cell(column) > 0;
      const key = names.map((_, k) => keyCell((cells[k] as unknown[])[row]));
      if (spec.nullKeys === "error" && key.includes(null)) throw await faults.nullKey(names, key);
      if (some(plan.inexact)) throw await faults.inexactInteger([plan.value, plan.weight], key);
      if (plan.weight !== undefined && some(plan.absent)) throw await faults.missingWeight(0, plan.weight, key);
      if (some(plan.nans)) throw await faults.missingValue(plan, key);
      let changed = 0; // the outermost key column that differs from the row before
      while (previous !== undefined && changed < key.length && Object.is(key[changed], previous[changed])) changed++;
      builders.forEach((builder, i) => {
        if (i === 0) builder.open(records, key);
        else if (previous === undefined || changed < builder.depth) builder.open((builders[i - 1] as LevelBuilder).starts.length - 1, key);
      });
      const n = cell(plan.count);
      for (const constant of plan.constants) {
        if (some(constant.inexact)) throw await faults.inexactInteger([constant.column], key);
        if (some(constant.absent)) throw await faults.missingWeight(constant.level, constant.column, key);
        addConstant(constants.get(constant.level) as number[], constant, cell, n, builders[constant.level - 1] as LevelBuilder, faults);
      }
      counts.push(n);
      records += n;
      nulls += cell(plan.nulls);
      previous = key;
    }
    if (kept) continue;
    for (const builder of builders) builder.forget();
    for (const found of constants.values()) found.splice(0, found.length - 1);
    counts.length = 0;
  }
  // A level without key columns has its one node even when there are no records.
  builders.forEach((builder) => {
    if (builder.depth === 0 && builder.starts.length === 0) builder.open(0, []);
  });
  return { builders, counts, records, nulls, constants };
}

/** Takes the weight of an innermost node into that of its ancestor on the level below the weight's. */
function addConstant(
  found: number[],
  { column, level, low, high, present }: ConstantWeight,
  cell: (column: number) => number,
  n: number,
  child: LevelBuilder,
  faults: TableFaults,
): void {
  const kept = cell(present);
  const least = kept === 0 ? Number.NaN : cell(low);
  const greatest = kept === n && n > 0 ? cell(high) : Number.NaN; // without keys there is a node even without records
  if (found.length < child.starts.length) found.push(least);
  const first = found.at(-1) as number;
  const other = same(first, least) ? greatest : least;
  if (!same(first, other)) throw faults.varies(level, column.name, child.keyAt(child.starts.length - 1), first, other);
}

/** Equal weights: NaN equals NaN, and -0 equals 0. */
const same = (a: number, b: number): boolean => a === b || (a !== a && b !== b);
