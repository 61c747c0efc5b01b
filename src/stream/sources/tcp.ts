/** Records over TCP or TLS: a connection is a token's line, where there is one, and then records in one format. */
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { Feed } from "./feed.ts";
import { CR, NEWLINE } from "./lines.ts";
import type { Peers } from "./peers.ts";
import { TOKEN_LENGTH_MAX, type Token } from "./token.ts";

/** A dead peer is noticed by these, also while it waits for the stream. */
const KEEP_ALIVE_MS = 30_000;

/** Bytes that are looked at to tell a request from records; a longer target is judged by its start. */
const REQUEST_LINE_MAX = 4096;

/** A key and a certificate, in PEM. */
export interface TlsFiles {
  readonly key: string | Uint8Array;
  readonly cert: string | Uint8Array;
}

/** PEM as Node takes it. */
export const pem = ({ key, cert }: TlsFiles): { key: string | Buffer; cert: string | Buffer } => ({
  key: typeof key === "string" ? key : Buffer.from(key),
  cert: typeof cert === "string" ? cert : Buffer.from(cert),
});

/** A server for records over TCP; it does not listen yet. */
export function tcpServer(peers: Peers, tls: TlsFiles | undefined): Server {
  const common = { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
  const serve = (socket: Socket): void => void connection(socket, peers);
  const server =
    tls === undefined
      ? createServer({ ...common, pauseOnConnect: true }, serve)
      : createTlsServer({ ...common, ...pem(tls), handshakeTimeout: peers.idleMsMax, minVersion: "TLSv1.2" }, serve);
  // Of TLS connections the raw ones are counted: a handshake costs, too.
  server.prependListener("connection", (socket: Socket) => {
    if (!peers.enter(socket)) socket.destroy();
  });
  return server;
}

async function connection(socket: Socket, peers: Peers): Promise<void> {
  // What a socket has to say, its reading says.
  socket.on("error", () => {});
  if (socket.destroyed) return;
  try {
    const { format } = peers.options;
    const { source, decoder } = await peers.decoder(format!);
    const feed = new Feed(socket, peers);
    const first = await (peers.options.token === undefined ? greeting(feed, peers) : login(feed, peers, peers.options.token));
    if (first === undefined) return;
    const { end } = await feed.run(source, decoder, first, Number.POSITIVE_INFINITY);
    peers.ended(end);
  } catch (error) {
    peers.options.fail(error);
  } finally {
    socket.destroy();
  }
}

/** Reads the token's line; what came after it, or undefined if the connection may not go on. */
async function login(feed: Feed, peers: Peers, token: Token): Promise<Uint8Array | undefined> {
  let line = Buffer.alloc(0);
  // A line break may be two bytes.
  while (line.length <= TOKEN_LENGTH_MAX + 2) {
    const piece = await feed.next();
    if (typeof piece === "string") {
      if (piece === "idle") peers.idle();
      else peers.unauthorized();
      return undefined;
    }
    line = Buffer.concat([line, piece]);
    const found = line.indexOf(NEWLINE);
    if (found < 0) continue;
    const end = line[found - 1] === CR ? found - 1 : found;
    if (!token.matches(line.subarray(0, end))) break;
    feed.progress();
    return line.subarray(found + 1);
  }
  peers.unauthorized();
  return undefined;
}

/**
 * The first bytes of a connection without a token, or undefined if they are an HTTP request. Any web page that a user of this machine looks at can
 * have its browser send one here, with records as its body.
 */
async function greeting(feed: Feed, peers: Peers): Promise<Uint8Array | undefined> {
  let line = Buffer.alloc(0);
  for (;;) {
    const is = isRequest(line);
    if (is === false) return line;
    if (is === true) {
      peers.refused();
      return undefined;
    }
    const piece = await feed.next();
    // What came is too short for a request; the reading says what it is.
    if (typeof piece === "string") return line;
    line = Buffer.concat([line, piece]);
  }
}

/** Whether bytes begin an HTTP request: a method, a target, a version; undefined if more of them must come first. */
function isRequest(bytes: Uint8Array): boolean | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, REQUEST_LINE_MAX)).toString("latin1");
  if (/^[A-Z]{1,20} [^\s]+ HTTP\//.test(text)) return true;
  if (!/^(?:[A-Z]{0,20}|[A-Z]{1,20} [^\s]*|[A-Z]{1,20} [^\s]+ (?:H|HT|HTT|HTTP)?)$/.test(text)) return false;
  // A table may have a long header, but none that begins with a path or an address.
  return text.length < REQUEST_LINE_MAX ? undefined : /^[A-Z]+ (?:\/|https?:)/.test(text);
}
