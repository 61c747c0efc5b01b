/** The states of a user's reduction at level f (contract clause 13: order-free), and the way of their bytes, which the user's functions write. */
import { FourfoldError, show } from "../errors.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { canonical } from "./exact.ts";
import type { ReductionDefinition } from "./reductions.ts";
import { addEach, type NodeStates } from "./states.ts";

/** See the head of this file. Any of its methods throws what the user's functions throw, as ERR_FOURFOLD_REDUCTION. */
export class UserStates implements NodeStates {
  readonly bytesMin = 2;
  readonly #definition: ReductionDefinition<unknown>;
  readonly #level: string;
  readonly #states: unknown[] = [];
  readonly #items: number[] = [];

  /** @throws FourfoldError ERR_FOURFOLD_REDUCTION if the reduction needs an order, or cannot write its states */
  constructor(definition: ReductionDefinition<unknown>, level: string) {
    const { encode, decode, name } = definition;
    const refuse = (problem: string, fix: string): FourfoldError =>
      new FourfoldError("ERR_FOURFOLD_REDUCTION", `level "${level}": reduction "${name}" ${problem}`, { fix, at: { level } });
    if (!definition.orderFree)
      throw refuse(
        "needs an order, and the records of a state have none",
        "Define it with orderFree: true if the order of children cannot change its result",
      );
    if (typeof encode !== "function" || typeof decode !== "function")
      throw refuse("has no encode and decode, so its states cannot leave the process", "Define both: a state to bytes, and back");
    this.#definition = definition;
    this.#level = level;
  }

  grow(nodes: number): void {
    while (this.#items.length < nodes) {
      const node = this.#items.length;
      this.#states.push(this.#call("init", node, () => this.#definition.init()));
      this.#items.push(0);
    }
  }

  add(node: number, x: number, _w: number): void {
    this.#states[node] = this.#call("add", node, () => this.#definition.add(this.#states[node], x));
    this.#items[node]!++;
  }

  addAll(nodes: Int32Array, values: ArrayLike<number>, weights: ArrayLike<number> | undefined, from: number, to: number): void {
    addEach(this, nodes, values, weights, from, to);
  }

  /** A copy is merged: a user's merge may keep what it is given. */
  merge(node: number, from: UserStates, other: number): void {
    const copy = this.#decode(node, from.#encode(other).slice());
    this.#states[node] = this.#call("merge", node, () => this.#definition.merge(this.#states[node], copy));
    this.#items[node]! += from.#items[other]!;
  }

  items(node: number): number {
    return this.#items[node]!;
  }

  value(node: number): number {
    return this.#call("finish", node, () => {
      const value: unknown = this.#definition.finish(this.#states[node]);
      if (typeof value !== "number") throw new TypeError(`it gave ${show(value)}, expected a number`);
      return canonical(value);
    });
  }

  write(to: ByteWriter, node: number): void {
    to.unsigned(this.#items[node]!);
    const bytes = this.#encode(node);
    to.unsigned(bytes.length);
    to.bytes(bytes);
  }

  read(from: ByteReader, node: number): void {
    this.#items[node] = from.unsigned();
    const bytes = from.bytes(from.unsigned());
    let again: Uint8Array;
    try {
      this.#states[node] = this.#decode(node, bytes.slice());
      again = this.#encode(node);
    } catch (cause) {
      throw new FourfoldError("ERR_FOURFOLD_STATE", `the state of node ${node} cannot be read: ${(cause as Error).message}`, {
        cause,
        fix: "It is damaged, or another version of the reduction wrote it: make it again from its source",
        at: { level: this.#level, node },
      });
    }
    if (again.length !== bytes.length || again.some((byte, i) => byte !== bytes[i]))
      from.fail(`has bytes for node ${node} that reduction "${this.#definition.name}" writes in another way once it has read them`);
  }

  #encode(node: number): Uint8Array {
    return this.#call("encode", node, () => {
      const bytes: unknown = this.#definition.encode!(this.#states[node]);
      if (!(bytes instanceof Uint8Array)) throw new TypeError(`it gave ${show(bytes)}, expected a Uint8Array`);
      return bytes;
    });
  }

  #decode(node: number, bytes: Uint8Array): unknown {
    return this.#call("decode", node, () => this.#definition.decode!(bytes));
  }

  #call<T>(what: string, node: number, call: () => T): T {
    try {
      return call();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const message = `level "${this.#level}": ${what} of reduction "${this.#definition.name}" threw at node ${node}: ${why}`;
      throw new FourfoldError("ERR_FOURFOLD_REDUCTION", message, { cause, at: { level: this.#level, node } });
    }
  }
}
