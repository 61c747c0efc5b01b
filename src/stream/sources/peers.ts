/** The connections of a listener: who is there, who was turned away, and what all of them share. */
import type { Socket } from "node:net";
import type { Chunk, ReadContext } from "../types.ts";
import type { Decoder, Format } from "./decoder.ts";
import type { FeedEnd, Share } from "./feed.ts";
import type { FormatName } from "./formats.ts";
import type { Token } from "./token.ts";

/** What happened to the connections of a listener. */
export interface ListenStats {
  /** Connections that are open now. */
  connections: number;
  /** Connections that were taken, ever. */
  accepted: number;
  /** Connections that were refused because connectionsMax were open, or over TCP because they began with an HTTP request. */
  refused: number;
  /** Connections and requests with a wrong token, or none. */
  unauthorized: number;
  /** Connections that were ended by idleMsMax. */
  idle: number;
  /** Connections that broke, or sent what cannot be read as a whole. */
  failed: number;
}

/** What a listener was made with. */
export interface PeerOptions {
  readonly name: string;
  readonly token: Token | undefined;
  readonly connectionsMax: number;
  readonly idleMsMax: number;
  readonly bodyBytesMax: number;
  readonly bytesMax: number;
  readonly format: FormatName | undefined;
  formatOf(name: FormatName): Format;
  give(chunk: Chunk): Promise<boolean>;
  /** Ends the reading with an error that is no peer's. */
  fail(error: unknown): void;
}

export class Peers implements Share {
  readonly options: PeerOptions;
  readonly bytesMax: number;
  readonly idleMsMax: number;
  heldBytes = 0;
  /** The stream's wishes, once it reads. */
  readonly context: Promise<ReadContext>;
  readonly #sockets = new Set<Socket>();
  readonly #counts = { accepted: 0, refused: 0, unauthorized: 0, idle: 0, failed: 0 };
  #begin: (context: ReadContext) => void = () => {};
  #feeds = 0;

  constructor(options: PeerOptions) {
    this.options = options;
    this.bytesMax = options.bytesMax;
    this.idleMsMax = options.idleMsMax;
    this.context = new Promise((resolve) => {
      this.#begin = resolve;
    });
  }

  give(chunk: Chunk): Promise<boolean> {
    return this.options.give(chunk);
  }

  /** Lets the reading begin. @throws FourfoldError ERR_FOURFOLD_ARGUMENT if the fields do not fit the stream */
  begin(context: ReadContext): void {
    // Once here, so that a mistake of the caller is his, not that of each peer.
    this.options.formatOf(this.options.format ?? "ndjson").decoder(this.options.name, 0, undefined, context);
    this.#begin(context);
  }

  /** A decoder for one more run of bytes, and what positions in it are called. */
  async decoder(format: FormatName): Promise<{ source: string; decoder: Decoder }> {
    const context = await this.context;
    const source = `${this.options.name}#${++this.#feeds}`;
    return { source, decoder: this.options.formatOf(format).decoder(source, 0, undefined, context) };
  }

  /** Takes a connection in; false if there are too many. */
  enter(socket: Socket): boolean {
    if (this.#sockets.size >= this.options.connectionsMax) {
      this.#counts.refused++;
      return false;
    }
    this.#counts.accepted++;
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    return true;
  }

  refused(): void {
    this.#counts.refused++;
  }

  unauthorized(): void {
    this.#counts.unauthorized++;
  }

  idle(): void {
    this.#counts.idle++;
  }

  /** Counts how a run of bytes ended. */
  ended(end: FeedEnd): void {
    if (end === "idle") this.idle();
    else if (end !== "whole" && end !== "closed") this.failed();
  }

  failed(): void {
    this.#counts.failed++;
  }

  stats(): ListenStats {
    return { connections: this.#sockets.size, ...this.#counts };
  }

  /** Ends all connections. */
  end(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
