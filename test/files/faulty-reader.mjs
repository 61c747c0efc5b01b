// What the barrier must survive: a reading process that crashes, hangs, swells or lies, as the name of the spec says.
import { Socket } from "node:net";

const KINDS = ["read", "ready", "present", "progress", "memory", "values", "table", "bytes", "cells", "rejected", "failed", "done"];
const pipe = new Socket({ fd: 3, readable: true, writable: true });

function frame(kind, payload, length = payload.length) {
  const header = Buffer.alloc(5);
  header[0] = typeof kind === "number" ? kind : KINDS.indexOf(kind);
  header.writeUInt32LE(length, 1);
  return Buffer.concat([header, payload]);
}
const json = (kind, value) => frame(kind, Buffer.from(JSON.stringify(value)));
const say = (...frames) => pipe.write(Buffer.concat(frames));

const values = json("values", { dtype: "f64", length: 2 });
const two = frame("bytes", Buffer.alloc(16));
const table = json("table", { records: 2, levels: [{ keys: [{ $cells: 2 }] }] });
const deep = (n) => JSON.parse(`${'{"a":'.repeat(n)}1${"}".repeat(n)}`);

const FAULTS = {
  abort: () => process.abort(),
  segfault: () => process.kill(process.pid, "SIGSEGV"),
  exit: () => process.exit(0),
  loop: () => {
    for (;;);
  },
  silence: () => setInterval(() => undefined, 1e6),
  closes: () => pipe.destroy(),
  swell: () => {
    globalThis.kept = Array.from({ length: 64 }, () => Buffer.alloc(16 << 20, 1));
    setInterval(() => undefined, 1e6);
  },
  "reports memory": () => say(json("memory", { bytes: 2 ** 40 })),
  "long frame": () => say(frame("table", Buffer.alloc(0), 0xffffffff)),
  "long bytes": () => say(values, frame("bytes", Buffer.alloc(0), 0xffffffff)),
  "unknown kind": () => say(frame(200, Buffer.alloc(1))),
  "no JSON": () => say(frame("table", Buffer.from("{"))),
  "many values": () => say(json("values", { dtype: "f64", length: 2 ** 45 })),
  "negative values": () => say(json("values", { dtype: "f64", length: -1 })),
  "fractional values": () => say(json("values", { dtype: "f64", length: 1.5 })),
  "no type": () => say(json("values", { dtype: "constructor", length: 1 })),
  "values twice": () => say(values, values),
  "null values": () => say(json("values", null)),
  "too many bytes": () => say(values, two, two),
  "bytes first": () => say(two),
  "table early": () => say(values, table),
  "table twice": () => say(values, two, table, table),
  "no table": () => say(values, two, json("table", [1])),
  "deep table": () => say(values, two, json("table", deep(50))),
  "huge column": () => say(values, two, json("table", { a: { $array: "Float64Array", length: 2 ** 40 } })),
  "column of no type": () => say(values, two, json("table", { a: { $array: "Proxy", length: 1 } })),
  "many cells": () => say(values, two, table, json("cells", [1, 2, 3])),
  "odd cells": () => say(values, two, table, json("cells", [{}, 1])),
  "cells of bytes": () => say(values, json("cells", [1])),
  "done early": () => say(values, two, table, json("done", {})),
  "done at once": () => say(json("done", {})),
  "no error": () => say(json("failed", 7)),
  "no files": () => say(json("present", { files: "many" })),
  "out of turn": () => say(json("read", {})),
};

let got = Buffer.alloc(0);
pipe.on("data", (data) => {
  got = Buffer.concat([got, data]);
  if (got.length < 5 || got.length < 5 + got.readUInt32LE(1)) return;
  const { file } = JSON.parse(got.subarray(5, 5 + got.readUInt32LE(1)));
  got = got.subarray(5 + got.readUInt32LE(1));
  FAULTS[file]();
});
pipe.on("close", () => process.exit());
if (process.env.FAULTY_READER_START === "exit") process.exit(3);
say(json("ready", {}));
