/**
 * DABA Lite: aggregates a first-in, first-out window with a constant number of combinations for each operation, in the worst case, too.
 * K. Tangwongsan, M. Hirzel, S. Schneider, "In-Order Sliding-Window Aggregation in Worst-Case Constant Time", arXiv 2009.13768, section
 * "DABA Lite"; names and order are the paper's. It needs an associative combination ⊗, no inverse, and no commutativity.
 *
 * Pointers F ≤ L ≤ R ≤ A ≤ B ≤ E cut the window into lists. With v the children and Π[i..j) = vᵢ ⊗ … ⊗ vⱼ₋₁, position i holds
 *
 *     in [F, L)  Π[i..B)      in [L, R)  Π[i..R)      in [R, A)  vᵢ      in [A, B)  Π[i..B)      in [B, E)  vᵢ
 *
 * beside two more partials, aggRA = Π[R..B) (while L ≠ R) and aggB = Π[B..E) (while B ≠ E). So the window's is Π[F..B) ⊗ aggB.
 * Between operations |[L,R)| = |[R,A)| and |[L,B)| + 1 = |[F,B)| − |[B,E)|, unless the window is empty.
 *
 * The paper's identity is never combined with: where it would be, nothing is done, so a semigroup is enough.
 */
import type { Ring } from "./ring.ts";

/** The partial results of a window's children, oldest first: n + 2 of them. */
export class DabaLite<S> {
  readonly #combine: (left: S, right: S) => S;
  /** F is its begin, E its end. */
  readonly #partials: Ring<S>;
  #l = 0;
  #r = 0;
  #a = 0;
  #b = 0;
  #aggRA: S | undefined;
  #aggB: S | undefined;

  /**
   * @param combine associative; it must leave its arguments as they are, since a partial is used more than once
   * @param empty holds the partials
   */
  constructor(combine: (left: S, right: S) => S, empty: Ring<S>) {
    this.#combine = combine;
    this.#partials = empty;
  }

  /** How many children there are. */
  get length(): number {
    return this.#partials.length;
  }

  /** All children combined, oldest on the left; undefined where there are none. At most one combination. */
  query(): S | undefined {
    const { begin: f, end: e } = this.#partials;
    if (f === e) return undefined;
    const front = this.#partials.get(f);
    return this.#b === e ? front : this.#combine(front, this.#aggB as S);
  }

  /** Adds a youngest child. At most three combinations. */
  insert(child: S): void {
    const aggB = this.#b === this.#partials.end ? child : this.#combine(this.#aggB as S, child);
    this.#partials.push(child);
    this.#aggB = aggB;
    this.#fixup();
  }

  /** Takes the oldest child out; there must be one. At most two combinations. */
  evict(): void {
    this.#partials.shift();
    this.#fixup();
  }

  /** Restores what must hold between operations: the paper's singleton, flip, shift and shrink. */
  #fixup(): void {
    const partials = this.#partials;
    const { begin: f, end: e } = partials;
    if (f === this.#b) {
      // Singleton, or nothing left: what is there is its own aggregate, so it may be the front.
      this.#l = this.#r = this.#a = this.#b = e;
      this.#aggRA = this.#aggB = undefined;
      return;
    }
    if (this.#l === this.#b) {
      // Flip: the whole front is aggregated, and is as long as the back, which becomes the front's younger half.
      this.#l = f;
      this.#a = this.#b = e;
      this.#aggRA = this.#aggB;
      this.#aggB = undefined;
    }
    if (this.#l === this.#r) {
      // Shift: [L, R) and [R, A) are used up, and [A, B) holds what [F, L) wants.
      this.#a++;
      this.#r++;
      this.#l++;
    } else {
      // Shrink: one partial of [L, R) is extended to B, one child of [R, A) aggregated.
      partials.set(this.#l, this.#combine(partials.get(this.#l), this.#aggRA as S));
      this.#l++;
      if (this.#a < this.#b) partials.set(this.#a - 1, this.#combine(partials.get(this.#a - 1), partials.get(this.#a)));
      this.#a--;
    }
  }
}
