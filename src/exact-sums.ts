/** `exactSums`: an exact sum for each of many groups, side by side (contract clauses 3, 8, 9, 15). reduce/sums.ts holds them. */
import { checkNames, FourfoldError, show } from "./errors.ts";
import { ByteWriter } from "./reduce/bytes.ts";
import { writeExact } from "./reduce/encode.ts";
import { ExactSums } from "./reduce/sums.ts";

/** Options of {@link exactSums}. */
export interface ExactSumsOptions {
  /** How many groups there are at first; `grow` makes more. Default 0. */
  readonly groups?: number;
}

/** Which group each value belongs to. */
export type GroupList = Uint32Array | Uint16Array | Uint8Array | Int32Array | readonly number[];

/** Memory of 2^30 groups: what one typed array of float64 can be, and more than a process has. */
const GROUPS_MAX = 2 ** 30;

/**
 * Exact sums of groups 0 … groups − 1, each as `exactSum()` has it. A group takes 32 bytes while its sum is three float64 words,
 * which is so for terms of some 20 orders of magnitude; then it grows by what it needs.
 */
export class ExactAccumulators {
  readonly #sums = new ExactSums();

  /** Use {@link exactSums}. */
  constructor(groups: number) {
    this.grow(groups);
  }

  /** How many groups there are. */
  get groups(): number {
    return this.#sums.groups;
  }

  /** Bytes of memory held. */
  get bytes(): number {
    return this.#sums.bytes;
  }

  /** Makes groups up to `groups`; the new ones are empty. @throws FourfoldError ERR_FOURFOLD_ARGUMENT, ERR_FOURFOLD_MEMORY */
  grow(groups: number): void {
    if (!Number.isInteger(groups) || groups < 0 || groups > GROUPS_MAX)
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `groups is ${show(groups)}, expected an integer from 0 to 2^30`, {
        given: groups,
        expected: "an integer from 0 to 2^30",
        fix: "Number the groups from 0",
      });
    try {
      this.#sums.grow(groups);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new FourfoldError("ERR_FOURFOLD_MEMORY", `no room for ${groups} groups of 32 bytes`, {
        given: groups,
        fix: "Make fewer groups, or give the process more memory",
        cause,
      });
    }
  }

  /** Adds x to a group. @throws FourfoldError ERR_FOURFOLD_ARGUMENT for a group that is not there, ERR_FOURFOLD_DTYPE if x is no number */
  add(group: number, x: number): void {
    this.#check(group, x);
    this.#sums.add(group, x);
  }

  /** Takes x out of a group again. @throws FourfoldError as {@link ExactAccumulators.add} */
  subtract(group: number, x: number): void {
    this.#check(group, x);
    this.#sums.subtract(group, x);
  }

  /**
   * Adds values[i] to group groups[i]; if the call throws, nothing was added.
   * @throws FourfoldError as {@link ExactAccumulators.add}, with the index; ERR_FOURFOLD_SHAPE for lists of two lengths
   */
  addAll(groups: GroupList, values: Float64Array | Float32Array | readonly number[]): void {
    this.#checkAll(groups, values);
    for (let i = 0; i < values.length; i++) this.#sums.add(groups[i]!, values[i]!);
  }

  /** Takes values[i] out of group groups[i] again. @throws FourfoldError as {@link ExactAccumulators.addAll} */
  subtractAll(groups: GroupList, values: Float64Array | Float32Array | readonly number[]): void {
    this.#checkAll(groups, values);
    for (let i = 0; i < values.length; i++) this.#sums.subtract(groups[i]!, values[i]!);
  }

  /** A group's sum, rounded once (clauses 3, 8). @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
  value(group: number): number {
    this.#check(group, 0);
    return this.#sums.value(group);
  }

  /** The sums of all groups, each rounded once. */
  values(): Float64Array {
    return Float64Array.from({ length: this.groups }, (_, group) => this.#sums.value(group));
  }

  /** Terms added to a group less terms taken out. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
  count(group: number): number {
    this.#check(group, 0);
    return this.#sums.items(group);
  }

  /** A group's sum as bytes, for `exactSum.decode`. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
  encode(group: number): Uint8Array {
    this.#check(group, 0);
    const bytes = new ByteWriter();
    writeExact(bytes, this.#sums.sum(group));
    return bytes.finish();
  }

  #checkAll(groups: GroupList, values: ArrayLike<number>): void {
    if (!isList(groups) || !isList(values))
      throw new FourfoldError(
        "ERR_FOURFOLD_DTYPE",
        `groups are ${show(groups)} and values ${show(values)}, expected two lists of numbers`,
        {
          given: isList(groups) ? values : groups,
          fix: "Give typed arrays or lists of numbers",
        },
      );
    if (groups.length !== values.length)
      throw new FourfoldError("ERR_FOURFOLD_SHAPE", `${groups.length} groups for ${values.length} values`, {
        given: groups.length,
        expected: values.length,
        fix: "Give each value its group",
      });
    for (let i = 0; i < values.length; i++) this.#check(groups[i]!, values[i]!, i);
  }

  #check(group: number, x: number, index?: number): void {
    if (group >= 0 && group < this.#sums.groups && Number.isInteger(group) && typeof x === "number") return;
    const at = index === undefined ? "" : ` (index ${index})`;
    const where = index === undefined ? {} : { at: { index } };
    if (typeof x !== "number")
      throw new FourfoldError("ERR_FOURFOLD_DTYPE", `the value is ${show(x)}${at}, expected a number`, {
        given: x,
        expected: "number",
        fix: "Convert it",
        ...where,
      });
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `group ${show(group)}${at} is not there, expected an integer below ${this.groups}`, {
      given: group,
      expected: `an integer below ${this.groups}`,
      fix: "Make it with grow()",
      ...where,
    });
  }
}

const isList = (value: unknown): boolean => Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));

/**
 * Makes empty exact sums of groups.
 *
 * @example
 * const totals = exactSums({ groups: 2 });
 * totals.addAll(Uint32Array.of(0, 1, 0), Float64Array.of(1e16, 0.5, 1));
 * totals.values(); // Float64Array [10000000000000000, 0.5], the first a tie of 1e16 and 1e16 + 2, to even
 *
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT, ERR_FOURFOLD_MEMORY
 */
export function exactSums(options: ExactSumsOptions = {}): ExactAccumulators {
  checkNames("exactSums", options, ["groups"]);
  return new ExactAccumulators(options.groups ?? 0);
}
