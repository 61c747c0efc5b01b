/** Records from the network: a server that is a Reader. Every connection, wait and byte that it holds has a limit. */
import type { Server } from "node:net";
import { isIP } from "node:net";
import { badOption, FourfoldError, show } from "../../errors.ts";
import type { Chunk, ReadContext, Reader } from "../types.ts";
import { sourceError } from "./bytes.ts";
import { Channel } from "./channel.ts";
import { checkCount } from "./fields.ts";
import { checkFormatOptions, type FormatName, type FormatOptions, formatOf } from "./formats.ts";
import { httpServer } from "./http.ts";
import { type ListenStats, Peers } from "./peers.ts";
import { tcpServer } from "./tcp.ts";
import { Token } from "./token.ts";

/** How records are received. */
export interface ListenOptions extends Omit<FormatOptions, "format"> {
  /**
   * "tcp": records in `format`, one connection after another or many at once. "http": POST to any path; the content type says the format:
   * application/x-ndjson, text/csv or application/vnd.apache.arrow.stream.
   */
  readonly protocol: "tcp" | "http";
  /** 0 takes a free one; `address` tells which. */
  readonly port: number;
  /** "127.0.0.1". Any address that is not of this machine alone needs `tls` and `token`. */
  readonly host?: string;
  /** The format of a TCP connection; over HTTP the only one that is taken. */
  readonly format?: FormatName;
  /** A private key and a certificate, in PEM. */
  readonly tls?: { readonly key: string | Uint8Array; readonly cert: string | Uint8Array };
  /**
   * A secret of 16 to 1,024 ASCII characters without blanks. Over TCP it is the first line of a connection, over HTTP it stands in
   * `Authorization: Bearer …`.
   */
  readonly token?: string;
  /** Connections at one time: 64. More are refused at once. */
  readonly connectionsMax?: number;
  /** A peer that completes no record for so long is disconnected: 60,000 ms. Time that it waits for the stream does not count. */
  readonly idleMsMax?: number;
  /** The largest body of a request, and the largest message of an Arrow stream: 64 MiB. */
  readonly bodyBytesMax?: number;
  /** Bytes of records that have not ended, over all connections: 64 MiB. */
  readonly bytesMax?: number;
}

/** A server that is a source. */
export interface Listener extends Reader {
  /** Where it listens. */
  readonly address: { readonly host: string; readonly port: number };
  /** What happened to its connections. */
  readonly stats: Readonly<ListenStats>;
  /** Ends all connections, and the reading. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const HOST = "127.0.0.1";
const CONNECTIONS_MAX = 64;
const IDLE_MS_MAX = 60_000;
const BYTES_MAX = 1 << 26;
/** Timers beyond this fire at once. */
const MS_MAX = 2 ** 31 - 1;

const OPTIONS = ["protocol", "port", "host", "tls", "token", "connectionsMax", "idleMsMax", "bodyBytesMax", "bytesMax"];

/** True for an address that only this machine reaches. */
function isLoopback(host: string): boolean {
  if (host === "localhost" || host === "::1") return true;
  return isIP(host) === 4 && host.startsWith("127.");
}

/** @throws FourfoldError ERR_FOURFOLD_ARGUMENT, or ERR_FOURFOLD_FORBIDDEN for an open address without protection */
function check(options: ListenOptions): void {
  checkFormatOptions("listen", options, OPTIONS);
  const { protocol, port, host, format, tls, token } = options;
  if (protocol !== "tcp" && protocol !== "http") throw badOption("protocol", protocol, '"tcp" or "http"');
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) throw badOption("port", port, "0 to 65535");
  if (host !== undefined && (typeof host !== "string" || host === "")) throw badOption("host", host, "an address");
  if (protocol === "tcp" && format === undefined) throw badOption("format", format, "a format: TCP has no content type to tell it");
  for (const one of ["connectionsMax", "idleMsMax", "bodyBytesMax", "bytesMax"] as const) checkCount(one, options[one]);
  if (options.idleMsMax !== undefined && options.idleMsMax > MS_MAX) throw badOption("idleMsMax", options.idleMsMax, `at most ${MS_MAX}`);
  const isKey = (part: unknown): boolean => (typeof part === "string" && part !== "") || part instanceof Uint8Array;
  if (tls !== undefined && !(typeof tls === "object" && tls !== null && isKey(tls.key) && isKey(tls.cert)))
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", 'option "tls" needs { key, cert }, both in PEM');
  if (isLoopback(host ?? HOST) || (tls !== undefined && token !== undefined)) return;
  const lacks = [tls === undefined ? "tls" : "", token === undefined ? "token" : ""].filter((one) => one !== "");
  throw new FourfoldError(
    "ERR_FOURFOLD_FORBIDDEN",
    `listen: host ${show(host)} can be reached from other machines, which needs tls and a token`,
    {
      given: host,
      expected: `also ${lacks.join(" and ")}`,
      fix: `Add ${lacks.join(" and ")}, or listen on ${HOST}`,
    },
  );
}

/**
 * Listens for records. Nothing is read before the stream reads, and no faster than it does.
 *
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT for options that cannot be; ERR_FOURFOLD_FORBIDDEN for an address that others reach, without TLS
 * and a token; ERR_FOURFOLD_SOURCE if the address cannot be had
 * @example
 * const incoming = await listen({ protocol: "http", port: 8080 });
 * for await (const result of engine.stream(index, incoming)) console.log(result.value);
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  check(options);
  const listener = new NetworkReader(options);
  await listener.open();
  return listener;
}

class NetworkReader implements Listener {
  readonly name: string;
  readonly replayable = false;
  readonly live = true;
  readonly #options: ListenOptions;
  readonly #host: string;
  readonly #channel = new Channel<Chunk>();
  readonly #peers: Peers;
  readonly #server: Server;
  #address = { host: "", port: 0 };
  #isRead = false;

  constructor(options: ListenOptions) {
    this.#options = options;
    this.#host = options.host ?? HOST;
    this.name = options.name ?? options.protocol;
    this.#peers = new Peers({
      name: this.name,
      token: options.token === undefined ? undefined : new Token(options.token),
      connectionsMax: options.connectionsMax ?? CONNECTIONS_MAX,
      idleMsMax: options.idleMsMax ?? IDLE_MS_MAX,
      bodyBytesMax: options.bodyBytesMax ?? BYTES_MAX,
      bytesMax: options.bytesMax ?? BYTES_MAX,
      format: options.format,
      formatOf: (format) => formatOf(format, { ...options, format }),
      give: (chunk) => this.#channel.put(chunk),
      fail: (error) => this.#channel.close(error),
    });
    try {
      this.#server = options.protocol === "tcp" ? tcpServer(this.#peers, options.tls) : httpServer(this.#peers, options.tls);
    } catch (error) {
      // A key that is none. What OpenSSL says of it does not quote it.
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `option "tls": ${error instanceof Error ? error.message : String(error)}`, {
        expected: "a key and a certificate that belong together, in PEM",
      });
    }
  }

  get address(): { readonly host: string; readonly port: number } {
    return this.#address;
  }

  get stats(): Readonly<ListenStats> {
    return this.#peers.stats();
  }

  async open(): Promise<void> {
    const { port } = this.#options;
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port, host: this.#host }, () => {
        server.off("error", reject);
        resolve();
      });
    }).catch((error: Error) => {
      throw sourceError(this.name, `cannot listen on ${this.#host}:${port}: ${error.message}`, error);
    });
    // A connection that cannot be accepted (no more file descriptors) ends nothing but itself.
    server.on("error", () => this.#peers.failed());
    const at = server.address();
    if (at !== null && typeof at === "object") this.#address = { host: at.address, port: at.port };
  }

  async *read(from: number, context: ReadContext): AsyncGenerator<Chunk> {
    if (from > 0) throw sourceError(this.name, `cannot be read from byte ${from} on: what is past is gone`);
    if (this.#isRead) throw sourceError(this.name, "can be read only once");
    this.#isRead = true;
    // Also if nobody takes the end of the reading.
    const end = (): void => void this.close();
    context.signal.addEventListener("abort", end, { once: true });
    try {
      if (context.signal.aborted) return;
      this.#peers.begin(context);
      let next = 0;
      for await (const chunk of this.#channel.items()) {
        next += chunk.bytes;
        yield { ...chunk, next, rejected: chunk.rejected.map((one) => ({ ...one, source: this.name })) };
      }
    } finally {
      context.signal.removeEventListener("abort", end);
      await this.close();
    }
  }

  async close(): Promise<void> {
    this.#channel.close();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#peers.end();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
