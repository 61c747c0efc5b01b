/**
 * One run of bytes from a network peer → chunks, each waited for until the stream took it. While the stream does not take, nothing is read, and
 * the peer's own writes wait. A peer that completes no record within the limit is ended, however busily it trickles bytes.
 */
import type { Readable } from "node:stream";
import { FourfoldError } from "../../errors.ts";
import type { Chunk, Rejected } from "../types.ts";
import type { Decoder } from "./decoder.ts";
import { rejected } from "./rejected.ts";

/** What all peers of a listener share. */
export interface Share {
  /** Hands a chunk to the stream and waits until it is taken; false if the stream has ended. */
  give(chunk: Chunk): Promise<boolean>;
  /** Bytes that all decoders hold. */
  heldBytes: number;
  readonly bytesMax: number;
  readonly idleMsMax: number;
}

/** How a feed ended. */
export type FeedEnd = "whole" | "idle" | "broken" | "full" | "tooLarge" | "damaged" | "closed";

/** What went through a feed. */
export interface Fed {
  readonly end: FeedEnd;
  readonly accepted: number;
  readonly rejected: number;
  /** The first of what was rejected. */
  readonly reasons: readonly FourfoldError[];
}

/** Reasons that an answer holds. */
const REASONS_MAX = 10;

const WHY: Readonly<Record<Exclude<FeedEnd, "whole" | "damaged" | "closed">, string>> = {
  idle: "no record was completed within idleMsMax",
  broken: "the connection broke",
  full: "all connections together hold more than bytesMax",
  tooLarge: "the body is larger than bodyBytesMax",
};

/** Why there is no more to read. */
type PieceEnd = "whole" | "idle" | "broken";

/** Waits for the next piece of `bytes`, for at most `ms`. */
async function nextPiece(bytes: AsyncIterator<unknown>, ms: number): Promise<Uint8Array | PieceEnd> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"idle">((resolve) => {
    timer = setTimeout(() => resolve("idle"), Math.max(ms, 0));
  });
  const next = bytes.next().then(
    (item) => (item.done === true ? "whole" : (item.value as Uint8Array)),
    () => "broken" as const,
  );
  try {
    return await Promise.race([next, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Bytes of one peer, with a limit on how long it may take over a record. */
export class Feed {
  readonly #bytes: AsyncIterator<unknown>;
  readonly #share: Share;
  /** Time that the peer has left to complete a record. */
  #msLeft: number;
  /** Why there is no more, once that is known. */
  #end: PieceEnd | undefined;

  constructor(bytes: Readable, share: Share) {
    this.#bytes = bytes[Symbol.asyncIterator]();
    this.#share = share;
    this.#msLeft = share.idleMsMax;
  }

  /** The next bytes, or why there are none. Waiting for them uses up the peer's time. */
  async next(): Promise<Uint8Array | PieceEnd> {
    if (this.#end !== undefined) return this.#end;
    const start = performance.now();
    const piece = await nextPiece(this.#bytes, this.#msLeft);
    this.#msLeft -= performance.now() - start;
    if (typeof piece === "string") this.#end = piece;
    return piece;
  }

  /** The peer has done something whole: its time begins again. */
  progress(): void {
    this.#msLeft = this.#share.idleMsMax;
  }

  /** Decodes all that comes, at most `bytesMax` bytes of it. `first` was read before. */
  async run(source: string, decoder: Decoder, first: Uint8Array, bytesMax: number): Promise<Fed> {
    const share = this.#share;
    const counts = { accepted: 0, rejected: 0, reasons: [] as FourfoldError[] };
    let held = 0;
    let bytes = 0;
    let done = 0;
    const hand = async (chunks: Iterable<Chunk>): Promise<boolean> => {
      for (const chunk of chunks) {
        if (!(await share.give(chunk))) return false;
        this.progress();
        done = chunk.next;
        counts.accepted += chunk.block?.rows ?? 0;
        counts.rejected += chunk.rejected.length;
        for (const one of chunk.rejected) if (counts.reasons.length < REASONS_MAX) counts.reasons.push(one.error);
      }
      return true;
    };
    const refuse = (refused: Rejected): Promise<boolean> =>
      hand([{ block: undefined, rejected: [refused], next: refused.to, bytes: refused.to - done }]);
    try {
      let piece: Uint8Array | PieceEnd = first;
      for (;;) {
        let end: FeedEnd | undefined;
        if (typeof piece === "string") end = piece;
        else {
          bytes += piece.length;
          if (bytes > bytesMax) end = "tooLarge";
          else if (!(await hand(decoder.push(piece)))) return { ...counts, end: "closed" };
          share.heldBytes += decoder.heldBytes - held;
          held = decoder.heldBytes;
          if (share.heldBytes > share.bytesMax) end ??= "full";
        }
        if (end === "whole") {
          const went = await hand(decoder.end()); // the last record may lack its newline: it counts, too
          return { ...counts, end: went ? "whole" : "closed" };
        }
        if (end !== undefined) {
          // What is held may look whole and be the half of a number: it is not taken.
          const went = held === 0 || (await refuse(cutOff(source, done, held, WHY[end as keyof typeof WHY])));
          return { ...counts, end: went ? end : "closed" };
        }
        piece = await this.next();
      }
    } catch (error) {
      // Not of its format as a whole, as CSV without a column that is needed.
      if (!(error instanceof FourfoldError)) throw error;
      const went = await refuse({ source, from: done, to: done + held, line: undefined, error, text: undefined });
      return { ...counts, end: went ? "damaged" : "closed" };
    } finally {
      share.heldBytes -= held;
    }
  }
}

function cutOff(source: string, from: number, held: number, why: string): Rejected {
  return rejected({ source, from, to: from + held, line: undefined }, undefined, {
    what: `the last ${held} bytes are no whole record: ${why}`,
    given: held,
    expected: "a record that is whole",
  });
}
