/** Where the leaves, or the nodes of one level, of a live tree stand: whose children they are, and which children they have. */
import { grown } from "./arrays.ts";

/** See the head of this file. They have numbers; -1 is none. */
export class LiveTier {
  /** Numbers given so far, some of which may be free. */
  length = 0;
  /** The node that each belongs to; −1 for a number that is free. */
  parent: Int32Array;
  /** Children of each node. Of leaves, 0. */
  size: Uint32Array;
  /** True where nodes stay when their last child goes. */
  readonly stays: boolean;
  /** Where children come and go, each knows the ones beside it. */
  readonly #linked: boolean;
  #next: Int32Array;
  #previous: Int32Array;
  #first: Int32Array;
  #marks = new Uint32Array(0);
  #mark = 0;

  constructor({ stays, linked }: { readonly stays: boolean; readonly linked: boolean }) {
    this.stays = stays;
    this.#linked = linked;
    this.parent = new Int32Array(0);
    this.size = new Uint32Array(0);
    this.#next = new Int32Array(0);
    this.#previous = new Int32Array(0);
    this.#first = new Int32Array(0);
  }

  /** Numbers that there is room for. */
  get capacity(): number {
    return this.parent.length;
  }

  get bytes(): number {
    const links = this.#next.byteLength + this.#previous.byteLength + this.#first.byteLength;
    return this.parent.byteLength + this.size.byteLength + links + this.#marks.byteLength;
  }

  /** Makes room for numbers below `length`. */
  grow(length: number): void {
    if (length > this.length) this.length = length;
    const before = this.capacity;
    if (length <= before) return;
    this.parent = grown(this.parent, length);
    this.parent.fill(-1, before);
    this.size = grown(this.size, length);
    if (!this.#linked) return;
    this.#next = grown(this.#next, length);
    this.#previous = grown(this.#previous, length);
    this.#first = grown(this.#first, length);
    this.#first.fill(-1, before);
  }

  /** True if a number is taken. */
  has(id: number): boolean {
    return id < this.length && this.parent[id]! >= 0;
  }

  /** True if a node is one of the tree: it has children, or needs none. */
  isThere(node: number): boolean {
    return this.stays || this.size[node]! > 0;
  }

  /** Makes one a child of its parent in the tier above. */
  attach(id: number, above: LiveTier): void {
    const parent = this.parent[id]!;
    above.size[parent]!++;
    if (!this.#linked) return;
    const first = above.#first[parent]!;
    this.#next[id] = first;
    this.#previous[id] = -1;
    if (first >= 0) this.#previous[first] = id;
    above.#first[parent] = id;
  }

  /** The reverse of {@link LiveTier.attach}. */
  detach(id: number, above: LiveTier): void {
    const parent = this.parent[id]!;
    above.size[parent]!--;
    if (!this.#linked) return;
    const [next, previous] = [this.#next[id]!, this.#previous[id]!];
    if (previous >= 0) this.#next[previous] = next;
    else above.#first[parent] = next;
    if (next >= 0) this.#previous[next] = previous;
  }

  /** The children of a node of the tier above, in no order. */
  childrenOf(node: number, above: LiveTier): number[] {
    const children: number[] = [];
    for (let id = above.#first[node]!; id >= 0; id = this.#next[id]!) children.push(id);
    return children;
  }

  /** Takes all marks away. */
  startMarks(): void {
    this.#marks = grown(this.#marks, this.capacity);
    this.#mark++;
    if (this.#mark < 2 ** 32) return;
    this.#marks.fill(0);
    this.#mark = 1;
  }

  /** Marks one; false if it was marked. */
  mark(id: number): boolean {
    if (this.#marks[id] === this.#mark) return false;
    this.#marks[id] = this.#mark;
    return true;
  }
}
