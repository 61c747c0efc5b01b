/** Where the records of `fourfold stream` come from, as a reader: stdin, a file, a file that grows, the network, or the spec's own source. */
import { readFile } from "node:fs/promises";
import { FourfoldError, show, systemReason } from "../errors.ts";
import type { StreamSpec } from "../files/index.ts";
import { arrow, csv, listen, ndjson, type Reader, tail } from "../stream/index.ts";
import type { SpecAsStream } from "./stream-chain.ts";
import type { ListenInput, StreamInput } from "./stream-options.ts";
import { replaySource } from "./stream-replay.ts";

/** A secret that need not stand in a file. */
const TOKEN_VARIABLE = "FOURFOLD_STREAM_TOKEN";

/** A source, and what is to be said about it. */
export interface OpenedSource {
  readonly reader: Reader;
  /** How far a replay is, in event time; undefined before its first record, and for other sources. */
  eventTime(): number | undefined;
  /** Where it listens. */
  readonly address: string | undefined;
  close(): Promise<void>;
}

/** Opens the source. @throws FourfoldError ERR_FOURFOLD_SPEC for a replay that the spec cannot give; what listening throws */
export async function openSource(input: StreamInput, spec: StreamSpec, options: SpecAsStream["source"]): Promise<OpenedSource> {
  const plain = (reader: Reader): OpenedSource => ({
    reader,
    eventTime: () => undefined,
    address: undefined,
    close: async () => undefined,
  });
  switch (input.kind) {
    case "replay": {
      spec.replay(); // says at once what the spec lacks
      const reader = replaySource(spec, input.speed);
      return { ...plain(reader), eventTime: () => reader.eventTime };
    }
    case "listen":
      refuseComputed(spec);
      return listening(input, options);
    case "tail":
      refuseComputed(spec);
      return plain(tail(input.path, { ...options, format: input.format }));
    default: {
      refuseComputed(spec);
      const reader = { ndjson, csv, arrow }[input.format];
      return plain(input.kind === "stdin" ? reader(process.stdin, { ...options, name: "stdin" }) : reader(input.path, options));
    }
  }
}

/** Records from elsewhere bring their weights as fields; what is computed from columns belongs to the spec's own source. */
function refuseComputed(spec: StreamSpec): void {
  for (const [i, { name, weights }] of spec.levels.entries()) {
    if (typeof weights !== "object" || !("column" in weights)) continue;
    const part = weights.expression !== undefined ? "expression" : weights.missing !== undefined ? "missing" : undefined;
    if (part === undefined) continue;
    throw spec.placed(
      new FourfoldError(
        "ERR_FOURFOLD_SPEC",
        `level ${show(name)}: records that stream in bring their weights: "${part}" is for the spec's own source`,
        {
          given: part,
          at: { level: name },
          fix: "Send the weight as a field of each record, or use --replay",
        },
      ),
      `/levels/${i}/weights/${part}`,
    );
  }
}

async function listening(
  { protocol, host, port, format, tls, tokenFile }: ListenInput,
  options: SpecAsStream["source"],
): Promise<OpenedSource> {
  const token = tokenFile === undefined ? process.env[TOKEN_VARIABLE] : (await textOf("token-file", tokenFile)).toString("utf8").trim();
  const reader = await listen({
    ...options,
    protocol,
    host,
    port,
    ...(format && { format }),
    ...(tls && { tls: { key: await textOf("tls-key", tls.key), cert: await textOf("tls-cert", tls.cert) } }),
    ...(token !== undefined && { token }),
  });
  const at = reader.address.host.includes(":") ? `[${reader.address.host}]` : reader.address.host;
  return {
    reader,
    eventTime: () => undefined,
    address: `${protocol}${tls ? (protocol === "http" ? "s" : "+tls") : ""}://${at}:${reader.address.port}`,
    close: () => reader.close(),
  };
}

async function textOf(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new FourfoldError("ERR_FOURFOLD_SOURCE", `--${option} ${show(path)} cannot be read: ${systemReason(cause) ?? String(cause)}`, {
      given: path,
      cause,
      at: { file: path },
    });
  }
}
