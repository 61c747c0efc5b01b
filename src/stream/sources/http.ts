/** Records over HTTP or HTTPS: the body of a POST is records, and the answer says what became of them, once the stream has taken them. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Socket } from "node:net";
import { type Fed, Feed } from "./feed.ts";
import type { FormatName } from "./formats.ts";
import type { Peers } from "./peers.ts";
import { pem, type TlsFiles } from "./tcp.ts";

const TYPES: Readonly<Record<string, FormatName>> = {
  "application/x-ndjson": "ndjson",
  "text/csv": "csv",
  "application/vnd.apache.arrow.stream": "arrow",
};

/** Bytes and number of a request's headers. */
const HEADER_BYTES_MAX = 16_384;
const HEADERS_MAX = 100;
/** A connection without a request gives its place up after this. */
const KEEP_ALIVE_MS = 5_000;
/** How often Node looks for requests whose headers do not come; it looks every 30 s by itself, which adds to the limit. */
const CHECK_MS = 1_000;

/** What is wrong with a request, before its body is read. */
interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A server for records over HTTP; it does not listen yet. */
export function httpServer(peers: Peers, tls: TlsFiles | undefined): Server {
  const { idleMsMax } = peers;
  const options = {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: idleMsMax,
    // A body has no limit on its time, because the stream may make it wait; its reading ends a peer that does not go on (feed.ts).
    requestTimeout: 0,
    keepAliveTimeout: Math.min(idleMsMax, KEEP_ALIVE_MS),
    connectionsCheckingInterval: Math.ceil(Math.min(idleMsMax / 4, CHECK_MS)),
    insecureHTTPParser: false,
    requireHostHeader: true,
  };
  const answer = (request: IncomingMessage, response: ServerResponse): void => void serve(request, response, peers);
  const server =
    tls === undefined
      ? createServer(options, answer)
      : createHttpsServer({ ...options, ...pem(tls), handshakeTimeout: idleMsMax, minVersion: "TLSv1.2" }, answer);
  server.maxHeadersCount = HEADERS_MAX;
  server.on("connection", (socket: Socket) => {
    if (peers.enter(socket)) return;
    socket.on("error", () => {});
    // Before a handshake there is nobody to tell.
    if (tls !== undefined) socket.destroy();
    else {
      socket.write("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n");
      socket.destroySoon();
    }
  });
  return server;
}

/** Why the body of `request` is not to be read; undefined if it is. */
function refusal(request: IncomingMessage, format: FormatName | undefined, peers: Peers): Refusal | undefined {
  const { token, bodyBytesMax, format: only } = peers.options;
  const { authorization = "", origin } = request.headers;
  if (token !== undefined && !token.matches(/^Bearer +(.*)$/i.exec(authorization)?.[1] ?? "")) {
    peers.unauthorized();
    return { status: 401, message: "a token is needed: Authorization: Bearer …", headers: { "WWW-Authenticate": "Bearer" } };
  }
  // A web page that the user looks at must not write here; browsers name the page in this header.
  if (token === undefined && origin !== undefined) return { status: 403, message: "web pages may not write here without a token" };
  if (request.method !== "POST") return { status: 405, message: "records come with POST", headers: { Allow: "POST" } };
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") return { status: 415, message: "content encodings are not taken: send the bytes as they are" };
  if (format === undefined || (only !== undefined && only !== format)) {
    const types = Object.keys(TYPES).filter((type) => only === undefined || TYPES[type] === only);
    return { status: 415, message: `the content type must be ${types.join(" or ")}`, headers: { Accept: types.join(", ") } };
  }
  if (Number(request.headers["content-length"] ?? 0) > bodyBytesMax)
    return { status: 413, message: `the body is larger than bodyBytesMax ${bodyBytesMax}` };
  return undefined;
}

function reply(request: IncomingMessage, response: ServerResponse, status: number, body: object, headers: object = {}): void {
  if (response.destroyed || response.headersSent) return;
  const isRead = request.complete;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(text),
    ...(isRead ? {} : { Connection: "close" }),
    ...headers,
  });
  // What is left of a body is not read only to be thrown away.
  response.end(text, () => {
    if (!isRead) request.destroy();
  });
}

const STATUS: Readonly<Record<Fed["end"], number>> = {
  whole: 200,
  idle: 408,
  broken: 400,
  full: 503,
  tooLarge: 413,
  damaged: 400,
  closed: 503,
};

async function serve(request: IncomingMessage, response: ServerResponse, peers: Peers): Promise<void> {
  request.on("error", () => {});
  response.on("error", () => {});
  const type = (request.headers["content-type"] ?? "").split(";")[0]!.trim().toLowerCase();
  const format = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined;
  const refused = refusal(request, format, peers);
  if (refused !== undefined) {
    reply(request, response, refused.status, { message: refused.message }, refused.headers);
    return;
  }
  try {
    const { source, decoder } = await peers.decoder(format!);
    const { end, reasons, ...counts } = await new Feed(request, peers).run(source, decoder, new Uint8Array(), peers.options.bodyBytesMax);
    peers.ended(end);
    reply(request, response, STATUS[end], { ...counts, reasons: reasons.map(({ code, message }) => ({ code, message })) });
  } catch (error) {
    reply(request, response, 500, { message: "the records could not be read" });
    peers.options.fail(error);
  }
}
