/** `--metrics PORT`: the stream's counts as Prometheus reads them, for this machine alone. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { FourfoldError, systemReason } from "../errors.ts";
import { prometheusText, type StreamStats } from "../index.ts";

const HOST = "127.0.0.1";
/** A scraper and a person or two. */
const CONNECTIONS_MAX = 16;
/** A request is a line and a few headers: who takes longer has no business here. */
const REQUEST_MS_MAX = 5000;

/** A server of metrics. */
export interface Metrics {
  /** Where they are. */
  readonly url: string;
  close(): Promise<void>;
}

/** Serves what `stats` gives. @throws FourfoldError ERR_FOURFOLD_ARGUMENT if the port cannot be had */
export async function serveMetrics(port: number, stats: () => StreamStats): Promise<Metrics> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", `http://${HOST}`);
    const found = pathname === "/metrics";
    const allowed = request.method === "GET" || request.method === "HEAD";
    response.statusCode = found ? (allowed ? 200 : 405) : 404;
    response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
    response.end(response.statusCode === 200 ? prometheusText(stats()) : "The metrics are at /metrics\n");
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.requestTimeout = REQUEST_MS_MAX;
  server.headersTimeout = REQUEST_MS_MAX;
  await listening(server, port);
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${HOST}:${taken}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listening(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) =>
      reject(
        new FourfoldError("ERR_FOURFOLD_ARGUMENT", `--metrics: port ${port} cannot be had: ${systemReason(error) ?? error.message}`, {
          given: port,
          fix: "Name another port, or 0 for a free one",
          cause: error,
        }),
      ),
    );
    server.listen(port, HOST, resolve);
  });
}
