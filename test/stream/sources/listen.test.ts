// Real sockets on 127.0.0.1, counted and closed. Nothing waits for time to pass: each step waits for what the listener or the peer does.
// The certificate is for tests only. It was made with
//   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj /CN=localhost
//     -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { request as secureRequest } from "node:https";
import { connect, type Socket } from "node:net";
import { connect as secureConnect } from "node:tls";
import { tableFromArrays, tableToIPC } from "apache-arrow";
import { afterEach, describe, expect, test } from "vitest";
import { type Listener, type ListenOptions, listen } from "../../../src/stream/index.ts";
import type { Chunk, ReadContext, Rejected } from "../../../src/stream/types.ts";
import { contextOf, type Row, rowsOf } from "./reading.ts";

const TOKEN = "a-token-for-tests-0123456789";
const pem = (name: string) => readFileSync(new URL(`../../fixtures/tls/${name}.pem`, import.meta.url), "utf8");
const TLS = { key: pem("key"), cert: pem("cert") };

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** A listener that is read: `rows(n)` waits until n records, rejected ones included, have come since the last call. */
async function serving(options: Partial<ListenOptions>, changes: Partial<ReadContext> = {}) {
  const listener = await listen({ protocol: "tcp", port: 0, ...options } as ListenOptions);
  const end = new AbortController();
  const chunks = listener.read(0, contextOf({ ...changes, signal: end.signal }))[Symbol.asyncIterator]();
  let ahead: Promise<IteratorResult<Chunk>> | undefined;
  const next = (): Promise<IteratorResult<Chunk>> => {
    const now = ahead ?? chunks.next();
    ahead = undefined;
    return now;
  };
  open.push(async () => {
    end.abort();
    await chunks.return?.();
    await listener.close();
  });
  return {
    listener,
    end,
    next,
    /** Lets the reading begin without taking what comes. */
    begin: () => {
      ahead ??= chunks.next();
      ahead.catch(() => {});
    },
    async rows(n: number): Promise<{ values: Row["value"][]; rejected: Rejected[]; next: number }> {
      const values: Row["value"][] = [];
      const rejected: Rejected[] = [];
      let at = 0;
      while (values.length + rejected.length < n) {
        const { value, done } = await next();
        if (done === true) throw new Error(`the reading ended after ${values.length + rejected.length} of ${n} records`);
        values.push(...rowsOf(value.block).map((row) => row.value));
        rejected.push(...value.rejected);
        at = value.next;
      }
      return { values, rejected, next: at };
    },
  };
}

const dial = async (listener: Listener): Promise<Socket> => {
  const socket = connect(listener.address.port, listener.address.host);
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
};

/** What a socket receives until it is closed. */
async function received(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  // An end may be a reset: that is told as an error first, which is no matter here.
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
  return text;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: { accepted: number; rejected: number; reasons: { code: string; message: string }[]; message?: string };
}

/** Sends one request. */
function post(
  listener: Listener,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
  options: { method?: string; secure?: boolean } = {},
): Promise<Answer> {
  const { method = "POST", secure = false } = options;
  const { host, port } = listener.address;
  return new Promise((resolve, reject) => {
    const all = {
      host,
      port,
      method,
      path: "/records",
      agent: false,
      headers: { "Content-Type": "application/x-ndjson", ...headers },
      ca: TLS.cert,
      servername: "localhost",
    };
    const sent = (secure ? secureRequest : request)(all, (response) => {
      let text = "";
      response.on("data", (bytes: Buffer) => {
        text += bytes.toString();
      });
      response.on("end", () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: text === "" ? {} : JSON.parse(text) }),
      );
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

describe("an address that others can reach needs TLS and a token", () => {
  test.each<readonly [string, Partial<ListenOptions>, string]>([
    ["0.0.0.0", {}, "Add tls and token"],
    ["::", {}, "Add tls and token"],
    ["example.org", {}, "Add tls and token"],
    ["192.168.1.7", { tls: TLS }, "Add token"],
    ["10.0.0.1", { token: TOKEN }, "Add tls"],
    ["127.0.0.1.example.org", { token: TOKEN }, "Add tls"],
  ])("%s", async (host, options, fix) => {
    await expect(listen({ protocol: "http", port: 0, host, ...options })).rejects.toMatchObject({
      code: "ERR_FOURFOLD_FORBIDDEN",
      message: expect.stringContaining(fix),
    });
  });

  test("with both it listens", async () => {
    const { listener } = await serving({ format: "ndjson", host: "0.0.0.0", tls: TLS, token: TOKEN });
    expect(listener.address.port).toBeGreaterThan(0);
  });

  test.each(["127.0.0.1", "127.8.9.10", "localhost"])("%s is this machine's alone", async (host) => {
    const { listener } = await serving({ format: "ndjson", host });
    expect(listener.address.port).toBeGreaterThan(0);
  });

  test.each<Record<string, unknown>>([
    { protocol: "udp" },
    { port: 70_000 },
    { port: undefined },
    { host: "" },
    { format: undefined },
    { format: "xml" },
    { delimiter: ";", format: "ndjson" },
    { token: "short" },
    { token: "with blanks in it, and long enough" },
    { tls: { key: "k" } },
    { tls: { key: "k", cert: "c" } },
    { connectionsMax: 0 },
    { idleMsMax: 2 ** 31 },
    { bodyBytesMax: -1 },
    { bytesMax: 1.5 },
    { conectionsMax: 1 },
  ])("options that cannot be are typed errors: %j", async (options) => {
    const error = await listen({ protocol: "tcp", port: 0, format: "ndjson", ...options } as unknown as ListenOptions).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
    if (typeof options["token"] === "string") expect(JSON.stringify(error) + String(error)).not.toContain(options["token"]);
  });

  test("a port that is taken is a typed error", async () => {
    const { listener } = await serving({ format: "ndjson" });
    await expect(listen({ protocol: "tcp", format: "ndjson", port: listener.address.port })).rejects.toMatchObject({
      code: "ERR_FOURFOLD_SOURCE",
    });
  });
});

describe("over TCP", () => {
  test("connections are merged, each with its own lines and positions", async () => {
    const server = await serving({ format: "ndjson" });
    const [a, b] = [await dial(server.listener), await dial(server.listener)];
    a.write('{"value":1}\n{"val');
    expect((await server.rows(1)).values).toEqual([1]);
    b.write('{"value":2}\nbad\n');
    const { values, rejected } = await server.rows(2);
    expect(values).toEqual([2]);
    expect(rejected).toMatchObject([
      { source: "tcp", line: 2, from: 12, to: 16, error: { message: expect.stringMatching(/^tcp#\d:2: not JSON/) } },
    ]);
    a.end('ue":3}');
    expect(await server.rows(1)).toMatchObject({ values: [3], next: 12 + 12 + 4 + 11 });
    await received(a);
    b.end();
    await received(b);
    await expect
      .poll(() => server.listener.stats)
      .toEqual({ connections: 0, accepted: 2, refused: 0, unauthorized: 0, idle: 0, failed: 0 });
  });

  test("csv needs a header for each connection, and a connection without the columns harms no other", async () => {
    const server = await serving({ format: "csv" });
    const [a, b] = [await dial(server.listener), await dial(server.listener)];
    a.write("wrong\n1\n");
    const { rejected } = await server.rows(1);
    expect(rejected).toMatchObject([{ source: "tcp", error: { code: "ERR_FOURFOLD_COLUMN" } }]);
    await received(a);
    b.write("value\n7\n");
    expect((await server.rows(1)).values).toEqual([7]);
    expect(server.listener.stats).toMatchObject({ failed: 1 });
  });

  test("a peer that breaks off leaves no half record behind", async () => {
    const server = await serving({ format: "csv", idleMsMax: 150 });
    const peer = await dial(server.listener);
    peer.write("value\n1\n12");
    const { values, rejected } = await server.rows(2);
    expect(values).toEqual([1]);
    expect(rejected).toMatchObject([
      { error: { message: expect.stringContaining("the last 2 bytes are no whole record: no record was completed within idleMsMax") } },
    ]);
    await received(peer);
    await expect.poll(() => server.listener.stats).toMatchObject({ idle: 1, connections: 0 });
  });

  test("a peer that trickles bytes without ever ending a line is ended", async () => {
    const server = await serving({ format: "ndjson", idleMsMax: 150 });
    server.begin();
    const peer = await dial(server.listener);
    const drip = setInterval(() => peer.write(" "), 10);
    await received(peer);
    clearInterval(drip);
    expect(server.listener.stats).toMatchObject({ idle: 1 });
  });

  test("a peer that says nothing, and one that closes one half, are ended", async () => {
    const server = await serving({ format: "ndjson", idleMsMax: 100 });
    server.begin();
    const silent = await dial(server.listener);
    const half = connect({ port: server.listener.address.port, host: "127.0.0.1", allowHalfOpen: true });
    half.end();
    await Promise.all([received(silent), received(half)]);
    await expect.poll(() => server.listener.stats).toMatchObject({ idle: 1, connections: 0 });
  });

  test("more connections than connectionsMax are closed at once, and make room when they go", async () => {
    const server = await serving({ format: "ndjson", connectionsMax: 3 });
    const taken = [await dial(server.listener), await dial(server.listener), await dial(server.listener)];
    const flood = await Promise.all(Array.from({ length: 50 }, () => dial(server.listener)));
    await Promise.all(flood.map(received));
    expect(server.listener.stats).toMatchObject({ connections: 3, accepted: 3, refused: 50 });
    for (const [i, peer] of taken.entries()) peer.end(`{"value":${i}}\n`);
    expect([...(await server.rows(3)).values].sort()).toEqual([0, 1, 2]);
    await Promise.all(taken.map(received));
    const late = await dial(server.listener);
    late.write('{"value":9}\n');
    expect((await server.rows(1)).values).toEqual([9]);
  });

  test("the token is the first line, and whoever has it not is closed without a word", async () => {
    const server = await serving({ format: "ndjson", token: TOKEN, idleMsMax: 5000 });
    server.begin();
    for (const line of ["wrong-token-wrong-token\n", `${TOKEN}x\n`, `${TOKEN.slice(1)}\n`, "\n", `${"x".repeat(5000)}`, '{"value":1}\n']) {
      const peer = await dial(server.listener);
      peer.write(line);
      expect(await received(peer)).toBe("");
    }
    expect(server.listener.stats).toMatchObject({ unauthorized: 6 });
    const right = await dial(server.listener);
    right.write(TOKEN.slice(0, 5));
    right.write(`${TOKEN.slice(5)}\r\n{"value":1}\n`);
    expect((await server.rows(1)).values).toEqual([1]);
  });

  test.each(["GET / HTTP/1.1", "POST /records HTTP/1.1", "OPTIONS * HTTP/1.1", "PRI * HTTP/2.0", `POST /${"x".repeat(8192)} HTTP/1.1`])(
    "what begins as HTTP is no record, however it is cut: no web page writes here (%.30s)",
    async (line) => {
      const { listener, begin, rows } = await serving({ format: "ndjson" });
      begin();
      const asked = `${line}\r\nOrigin: https://example.org\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n{"value": 7}\n`;
      for (const cut of [asked.length, 2]) {
        const socket = await dial(listener);
        socket.setNoDelay(true);
        socket.write(asked.slice(0, cut));
        if (cut === 2) {
          await new Promise((resolve) => setImmediate(resolve));
          socket.write(asked.slice(cut));
        }
        expect(await received(socket)).toBe("");
      }
      expect(listener.stats).toMatchObject({ refused: 2, failed: 0 });
      (await dial(listener)).end('{"value": 8}\n');
      expect(await rows(1)).toMatchObject({ values: [8], rejected: [] });
    },
  );

  test.each<readonly [string, string, number]>([
    ["a header of capitals with a blank", "A B,value\n1,2\n", 1],
    ["a long one", `A ${Array.from({ length: 2000 }, (_, i) => `C${i}`).join()},value\n${"1,".repeat(2000)}2\n`, 1],
    ["one of capitals alone", "VALUE,value\n1,2\n", 1],
    ["a first line that ends as a request does not", "POST /records\n,value\n", 0],
  ])("records that look a little like HTTP are records: %s", async (_, text, taken) => {
    const { listener, rows, begin } = await serving({ format: "csv" });
    begin();
    (await dial(listener)).end(text);
    expect((await rows(1)).values.length).toBe(taken);
    expect(listener.stats.refused).toBe(0);
  });

  test("a connection that ends within what could be a request is read as what it is", async () => {
    const { listener, rows, begin } = await serving({ format: "ndjson" });
    begin();
    (await dial(listener)).end("POST /rec");
    expect(await rows(1)).toMatchObject({ values: [], rejected: [{ from: 0, to: 9 }] });
    const silent = await dial(listener);
    silent.end();
    await received(silent);
    expect(listener.stats).toMatchObject({ refused: 0, failed: 0, idle: 0 });
  });

  test("over TLS the same", async () => {
    const server = await serving({ format: "ndjson", tls: TLS, token: TOKEN });
    const { port } = server.listener.address;
    const peer = secureConnect({ port, host: "127.0.0.1", ca: TLS.cert, servername: "localhost" });
    await once(peer, "secureConnect");
    expect(peer.authorized).toBe(true);
    peer.write(`${TOKEN}\n{"value":1}\n`);
    expect((await server.rows(1)).values).toEqual([1]);
    const plain = await dial(server.listener);
    plain.write(`${TOKEN}\n{"value":2}\n`);
    await received(plain);
    peer.end('{"value":3}');
    expect((await server.rows(1)).values).toEqual([3]);
  });

  test("while nobody takes records, a peer's writes wait", async () => {
    const server = await serving({ format: "ndjson", idleMsMax: 200 });
    const peer = await dial(server.listener);
    const line = `{"value":1,"note":"${"x".repeat(1000)}"}\n`;
    // Far beyond what the sockets of both sides hold.
    const count = 25_000;
    let sent = false;
    peer.end(line.repeat(count), () => {
      sent = true;
    });
    const first = await server.rows(1);
    // Nobody takes for longer than idleMsMax: a silent peer is ended meanwhile, but not the one that waits for us.
    await received(await dial(server.listener));
    expect(sent).toBe(false);
    const rest = await server.rows(count - first.values.length);
    expect(first.values.length + rest.values.length).toBe(count);
    expect(server.listener.stats).toMatchObject({ idle: 1 });
  });

  test("lines that never end cannot hold more than bytesMax together", async () => {
    const server = await serving({ format: "ndjson", bytesMax: 200_000, lineBytesMax: 150_000 });
    const [a, b] = [await dial(server.listener), await dial(server.listener)];
    a.write(`{"value":${" ".repeat(120_000)}`);
    b.write(`{"value":${" ".repeat(120_000)}`);
    const { rejected } = await server.rows(1);
    expect(rejected).toMatchObject([{ error: { message: expect.stringContaining("all connections together hold more than bytesMax") } }]);
    expect(server.listener.stats).toMatchObject({ failed: 1 });
    a.write("5}\n");
    b.write("5}\n");
    expect((await server.rows(1)).values).toEqual([5]);
  });
});

describe("over HTTP", () => {
  test("the answer says what became of the records, once the stream has taken them", async () => {
    const server = await serving({ protocol: "http" });
    const answer = post(server.listener, '{"value":1}\nbad\n{"value":2}\n');
    expect((await server.rows(3)).values).toEqual([1, 2]);
    expect(await answer).toMatchObject({
      status: 200,
      body: { accepted: 2, rejected: 1, reasons: [{ code: "ERR_FOURFOLD_RECORD", message: expect.stringMatching(/^http#1:2: not JSON/) }] },
    });
  });

  test("each content type has its format", async () => {
    const server = await serving({ protocol: "http" });
    const table = tableToIPC(tableFromArrays({ value: new Float64Array([5, 6]) }), "stream");
    const answers = [
      post(server.listener, "value\n3\n4\n", { "Content-Type": "text/csv; charset=utf-8" }),
      post(server.listener, table, { "Content-Type": "application/vnd.apache.arrow.stream" }),
    ];
    expect([...(await server.rows(4)).values].sort()).toEqual([3, 4, 5, 6]);
    expect((await Promise.all(answers)).map(({ status, body }) => [status, body.accepted])).toEqual([
      [200, 2],
      [200, 2],
    ]);
  });

  test.each<readonly [string, number, Record<string, string>, { method?: string }]>([
    ["GET", 405, {}, { method: "GET" }],
    ["OPTIONS, as browsers ask before they write", 405, {}, { method: "OPTIONS" }],
    ["another content type", 415, { "Content-Type": "text/plain" }, {}],
    ["a content type that every object has", 415, { "Content-Type": "constructor" }, {}],
    ["a content encoding", 415, { "Content-Encoding": "gzip" }, {}],
    ["a web page", 403, { Origin: "http://example.org" }, {}],
    ["a body that is announced as too large", 413, { "Content-Length": "100000" }, {}],
  ])("%s is refused with %i", async (_, status, headers, options) => {
    const server = await serving({ protocol: "http", bodyBytesMax: 1000 });
    server.begin();
    expect(
      await post(server.listener, options.method === undefined ? "x".repeat(100_000) : "", headers, options).catch(() => ({ status })),
    ).toMatchObject({ status });
  });

  test("a body that turns out to be too large is cut off", async () => {
    const server = await serving({ protocol: "http", bodyBytesMax: 1000 });
    const socket = await dial(server.listener);
    socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n");
    socket.write('c\r\n{"value":1}\n\r\n');
    expect((await server.rows(1)).values).toEqual([1]);
    server.begin();
    socket.write(`1000\r\n${" ".repeat(4096)}\r\n`);
    const text = await received(socket);
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(JSON.parse(text.split("\r\n\r\n")[1]!)).toMatchObject({ accepted: 1 });
  });

  test("without the token nothing is read", async () => {
    const server = await serving({ protocol: "http", token: TOKEN });
    const refused = ["", "Bearer", "Bearer wrong", `Bearer ${TOKEN}x`, `Basic ${TOKEN}`, TOKEN];
    for (const authorization of refused)
      expect(await post(server.listener, '{"value":1}\n', authorization === "" ? {} : { Authorization: authorization })).toMatchObject({
        status: 401,
        headers: { "www-authenticate": "Bearer" },
      });
    expect(server.listener.stats).toMatchObject({ unauthorized: refused.length });
    const answer = post(server.listener, '{"value":2}\n', { Authorization: `Bearer ${TOKEN}`, Origin: "https://example.org" });
    expect((await server.rows(1)).values).toEqual([2]);
    expect(await answer).toMatchObject({ status: 200 });
  });

  test("over HTTPS the same", async () => {
    const server = await serving({ protocol: "http", tls: TLS, token: TOKEN });
    const answer = post(server.listener, '{"value":2}\n', { Authorization: `Bearer ${TOKEN}` }, { secure: true });
    expect((await server.rows(1)).values).toEqual([2]);
    expect(await answer).toMatchObject({ status: 200, body: { accepted: 1, rejected: 0, reasons: [] } });
    await expect(post(server.listener, '{"value":2}\n', { Authorization: `Bearer ${TOKEN}` })).rejects.toThrow();
  });

  test("records that are not of their format as a whole are told to the peer and to the stream", async () => {
    const server = await serving({ protocol: "http" });
    const answers = [
      post(server.listener, "a\n1\n", { "Content-Type": "text/csv" }),
      post(server.listener, "not arrow at all", { "Content-Type": "application/vnd.apache.arrow.stream" }),
    ];
    const { rejected } = await server.rows(2);
    expect(rejected.map(({ error }) => error.code).sort()).toEqual(["ERR_FOURFOLD_COLUMN", "ERR_FOURFOLD_FORMAT"]);
    expect(await Promise.all(answers)).toMatchObject([
      { status: 400, body: { accepted: 0, reasons: [{ code: "ERR_FOURFOLD_COLUMN" }] } },
      { status: 400, body: { accepted: 0, reasons: [{ code: "ERR_FOURFOLD_FORMAT" }] } },
    ]);
  });

  test("headers that do not come, or do not end, end the connection", async () => {
    const server = await serving({ protocol: "http", idleMsMax: 100 });
    server.begin();
    const silent = await dial(server.listener);
    const slow = await dial(server.listener);
    slow.write("POST / HTTP/1.1\r\nHost: a\r\n");
    const drip = setInterval(() => slow.write("X-A: b\r\n"), 20);
    const large = await dial(server.listener);
    large.write(`POST / HTTP/1.1\r\nHost: a\r\nX-A: ${"x".repeat(20_000)}\r\n`);
    expect(await received(large)).toMatch(/^HTTP\/1\.1 431 /);
    expect(await received(slow)).toMatch(/^HTTP\/1\.1 408 /);
    clearInterval(drip);
    await received(silent);
    await expect.poll(() => server.listener.stats.connections).toBe(0);
  });

  test("a body that trickles, and one that breaks off, are ended", async () => {
    const server = await serving({ protocol: "http", idleMsMax: 150 });
    const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/csv\r\nContent-Length: 1000\r\n\r\nvalue\n1\n";
    const slow = await dial(server.listener);
    slow.write(head);
    expect((await server.rows(1)).values).toEqual([1]);
    server.begin();
    const drip = setInterval(() => slow.write("2"), 20);
    const text = received(slow);
    expect((await server.rows(1)).rejected).toMatchObject([{ error: { message: expect.stringContaining("idleMsMax") } }]);
    expect(await text).toMatch(/^HTTP\/1\.1 408 /);
    clearInterval(drip);
    const broken = await dial(server.listener);
    broken.write(`${head}12`);
    expect((await server.rows(1)).values).toEqual([1]);
    broken.destroy();
    expect((await server.rows(1)).rejected).toMatchObject([{ error: { message: expect.stringContaining("the connection broke") } }]);
  });

  test("more connections than connectionsMax get 503", async () => {
    const server = await serving({ protocol: "http", connectionsMax: 2 });
    const taken = [await dial(server.listener), await dial(server.listener)];
    const late = await dial(server.listener);
    expect(await received(late)).toMatch(/^HTTP\/1\.1 503 /);
    expect(server.listener.stats).toMatchObject({ accepted: 2, refused: 1 });
    for (const peer of taken) peer.destroy();
  });
});

describe("the end", () => {
  test("of the stream ends connections and the listening", async () => {
    const server = await serving({ format: "ndjson" });
    const peer = await dial(server.listener);
    peer.write('{"value":1}\n');
    await server.rows(1);
    const closed = received(peer);
    const last = server.next();
    server.end.abort();
    expect(await last).toEqual({ done: true, value: undefined });
    await closed;
    await expect(dial(server.listener)).rejects.toThrow("ECONNREFUSED");
  });

  test("can be asked for, and the reading ends", async () => {
    const server = await serving({ format: "ndjson" });
    const last = server.next();
    await server.listener.close();
    expect(await last).toEqual({ done: true, value: undefined });
  });

  test("a listener is read once, from its start, with fields that fit the stream", async () => {
    const { listener } = await serving({ protocol: "http", fields: { keys: { city: "c" } } }, { keys: ["region"] });
    await expect(listener.read(5, contextOf())[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "ERR_FOURFOLD_SOURCE" });
    await expect(
      listener
        .read(0, contextOf({ keys: ["region"] }))
        [Symbol.asyncIterator]()
        .next(),
    ).rejects.toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
    await expect(listener.read(0, contextOf())[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "ERR_FOURFOLD_SOURCE" });
  });
});
