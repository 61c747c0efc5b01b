/**
 * Minima and maxima of nodes whose children change (contract clauses 8, 14): a tournament for each node. Its leaves are the children's
 * values, each place above them the extreme of the two below (Knuth, TAOCP 3, 5.4.1), so a change costs as many comparisons as the
 * tournament is high. All tournaments lie in one array. One that is full moves to twice the room, one that is nearly empty to half.
 */
import { grown } from "./arrays.ts";
import { canonical } from "./exact.ts";
import type { LiveStates } from "./live-states.ts";

/** A tournament with room for n children has places 1 (the winner) to 2n − 1, of which the last n are the children's; place 0 is not used. */
const PLACES = 2;

/** See the head of this file. */
export class LiveExtremes implements LiveStates {
  /** What nothing is less extreme than: the value of a place without a child. */
  readonly #least: number;
  readonly #choose: (a: number, b: number) => number;
  #values = new Float64Array(0);
  /** The child at a place. */
  #children = new Int32Array(0);
  /** The place of a child, from the start of its node's tournament. */
  #places = new Int32Array(0);
  /** Where a node's tournament starts, how many children it has room for, and how many it has. */
  #starts = new Uint32Array(0);
  #rooms = new Uint32Array(0);
  #counts = new Uint32Array(0);
  #used = 0;
  /** Starts of unused room, by the logarithm of its size. */
  readonly #free: readonly number[][] = Array.from({ length: 32 }, () => []);

  constructor(kind: "min" | "max") {
    this.#least = kind === "min" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    // IEEE 754-2019 minimum and maximum: NaN wins, −0 is below +0.
    this.#choose = kind === "min" ? Math.min : Math.max;
  }

  get bytes(): number {
    const { byteLength } = this.#values;
    return (
      byteLength +
      this.#children.byteLength +
      this.#places.byteLength +
      this.#starts.byteLength +
      this.#rooms.byteLength +
      this.#counts.byteLength
    );
  }

  grow(nodes: number, children: number): void {
    this.#starts = grown(this.#starts, nodes);
    this.#rooms = grown(this.#rooms, nodes);
    this.#counts = grown(this.#counts, nodes);
    this.#places = grown(this.#places, children);
  }

  put(node: number, child: number, x: number): void {
    const count = this.#counts[node]!;
    if (count === this.#rooms[node]!) this.#move(node, Math.max(1, PLACES * count));
    this.#counts[node] = count + 1;
    this.#seat(node, count, child, x);
  }

  take(node: number, child: number): void {
    const last = this.#counts[node]! - 1;
    const room = this.#rooms[node]!;
    const start = this.#starts[node]!;
    const place = this.#places[child]!;
    const moved = start + room + last;
    if (place !== room + last) this.#seat(node, place - room, this.#children[moved]!, this.#values[moved]!);
    this.#play(start, room + last, this.#least);
    this.#counts[node] = last;
    if (last === 0) this.#move(node, 0);
    else if (4 * last <= room) this.#move(node, room / 2);
  }

  swap(node: number, child: number, _x0: number, _w0: number, x: number): void {
    this.#play(this.#starts[node]!, this.#places[child]!, x);
  }

  value(node: number): number {
    return this.#counts[node] === 0 ? Number.NaN : canonical(this.#values[this.#starts[node]! + 1]!);
  }

  #seat(node: number, index: number, child: number, x: number): void {
    const start = this.#starts[node]!;
    const place = this.#rooms[node]! + index;
    this.#places[child] = place;
    this.#children[start + place] = child;
    this.#play(start, place, x);
  }

  /** Writes the value at a place, and the winners above it as far as they change. */
  #play(start: number, at: number, value: number): void {
    const values = this.#values;
    values[start + at] = value;
    for (let place = at >> 1; place > 0; place >>= 1) {
      const winner = this.#choose(values[start + 2 * place]!, values[start + 2 * place + 1]!);
      if (Object.is(winner, values[start + place]!)) return;
      values[start + place] = winner;
    }
  }

  /** Gives a node room for so many children: a power of two not below their number, or 0. */
  #move(node: number, room: number): void {
    const [from, old, count] = [this.#starts[node]!, this.#rooms[node]!, this.#counts[node]!];
    const to = this.#allot(room);
    const values = this.#values;
    values.fill(this.#least, to, to + PLACES * room);
    for (let i = 0; i < count; i++) {
      const child = this.#children[from + old + i]!;
      values[to + room + i] = values[from + old + i]!;
      this.#children[to + room + i] = child;
      this.#places[child] = room + i;
    }
    for (let place = room - 1; place > 0; place--) values[to + place] = this.#choose(values[to + 2 * place]!, values[to + 2 * place + 1]!);
    if (old > 0) this.#free[Math.log2(old)]!.push(from);
    this.#starts[node] = to;
    this.#rooms[node] = room;
  }

  /** Where there is room for a tournament. */
  #allot(room: number): number {
    if (room === 0) return 0;
    const free = this.#free[Math.log2(room)]!.pop();
    if (free !== undefined) return free;
    const start = this.#used;
    this.#used += PLACES * room;
    this.#values = grown(this.#values, this.#used);
    this.#children = grown(this.#children, this.#used);
    return start;
  }
}
