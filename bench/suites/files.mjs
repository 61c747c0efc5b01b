// Data at rest: a chain over an NPY file against reading the file and NumPy's memmap; tables against DuckDB's own SQL over them.
import { appendFileSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DuckDBInstance } from "@duckdb/node-api";
import { loadSpec, openTensor } from "../../dist/files/index.js";
import { chain, createEngine, weightedSum } from "../../dist/index.js";
import { startChild } from "../harness/child.mjs";
import { fillData, fillWeights } from "../harness/ground.mjs";
import { interleave, speedOf } from "../harness/interleave.mjs";
import { machine } from "../harness/machine.mjs";
import { startNative } from "../harness/native.mjs";
import { check, checkRatio } from "../harness/report.mjs";
import { peersPython } from "../peers/python.mjs";

const SHAPE = [8, 16, 1024, 512];
const BYTES = 4 * SHAPE.reduce((a, b) => a * b);
const CSV_ROWS = 10_000_000;
const PAIRS = 4_000_000;

/** Files of this suite, made once: they take a minute. */
const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "fourfold-bench", "files");

function npy(path) {
  if (existsSync(path) && statSync(path).size === BYTES + 128) return;
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${SHAPE.join(", ")}), }`;
  const head = Buffer.alloc(128, " ");
  head.write("\x93NUMPY\x01\x00", 0, "latin1");
  head.writeUInt16LE(118, 8);
  head.write(header, 10, "latin1");
  head.write("\n", 127, "latin1");
  writeFileSync(path, head);
  appendFileSync(path, new Uint8Array(fillData(new Float32Array(BYTES / 4)).buffer));
}

export default async function filesSuite({ quick }) {
  const { cores } = machine();
  mkdirSync(folder, { recursive: true });
  const notes = ["all files are in the page cache"];
  const engine = await createEngine({ workers: cores });
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const children = [];
  try {
    const tensor = await tensors({ engine, cores, quick, children, notes });
    const tables = await tablesAgainst({ engine, connection, cores, quick });
    return { cases: [...tensor.cases, ...tables.cases], checks: [...tensor.checks, ...tables.checks], notes };
  } finally {
    connection.closeSync();
    instance.closeSync();
    await engine.close();
    for (const child of children) await child.close();
  }
}

async function tensors({ engine, cores, quick, children, notes }) {
  const path = join(folder, "x.npy");
  npy(path);
  const index = chain(...[...SHAPE].reverse().map((extent, level) => weightedSum(fillWeights(new Float64Array(extent), level + 1))));
  const x = await openTensor(path);
  const { value } = await engine.run(index, x);
  const opened = async () => {
    const again = await openTensor(path);
    try {
      return await engine.run(index, again);
    } finally {
      await again.close();
    }
  };
  const cases = [
    { name: "fourfold, NPY file", threads: cores, run: () => engine.run(index, x) },
    { name: "fourfold, NPY file, opened each time", threads: cores, run: opened },
  ];
  process.env.FOURFOLD_FILE = path;
  const reader = await startNative("readfile", cores);
  if (reader.absent) notes.push(`the reader in C is absent: ${reader.absent}`);
  else {
    children.push(reader);
    cases.push({ name: "C, read only", threads: cores, pid: reader.pid, ask: reader.ask });
  }
  const { python, absent } = peersPython({ required: ["numpy"], wanted: [] });
  if (absent) notes.push(`NumPy is absent: ${absent}`);
  else {
    const child = await startChild(python, [fileURLToPath(new URL("../peers/memmap.py", import.meta.url)), path]);
    children.push(child);
    const titles = { open: "NumPy memmap, opened each time", kept: "NumPy memmap, kept open" };
    for (const [way, result] of Object.entries(child.hello.results)) {
      if (Math.abs(result - value) > 1e-4 * Math.abs(value)) throw new Error(`NumPy computed ${result}, Fourfold ${value}`);
      cases.push({ name: titles[way], threads: cores, pid: child.pid, ask: () => child.ask(way), settle: 2 });
    }
    notes.push(`NumPy ${child.hello.versions.numpy}`);
  }
  const measured = await interleave(cases, { samples: quick ? 11 : 41 });
  for (const c of measured) {
    c.bytes = BYTES;
    c.sound = c.times.map(() => true); // files are read in the kernel, in turns with everything else
  }
  await x.close();
  const of = (name) => measured.find((c) => c.name === name);
  const speed = (figure, name, other, options) =>
    of(other) ? checkRatio(figure, speedOf(of(name), of(other)), options) : check(figure, undefined, options);
  return {
    cases: measured,
    checks: [
      speed("speed against reading the same file with as many threads", "fourfold, NPY file", "C, read only", { atLeast: 0.9 }),
      speed(
        "speed against NumPy's memmap, both opened each time",
        "fourfold, NPY file, opened each time",
        "NumPy memmap, opened each time",
        {
          atLeast: 1.3,
        },
      ),
      speed("speed against NumPy's memmap, both kept open", "fourfold, NPY file", "NumPy memmap, kept open"),
    ],
  };
}

/** Specs over files that DuckDB wrote, against the SQL that computes the same. */
async function tablesAgainst({ engine, connection, cores, quick }) {
  const parquet = join(folder, "pairs.parquet");
  const csv = join(folder, "rows.csv");
  if (!existsSync(parquet))
    await connection.run(
      `copy (select random() * 1000 as v, random() as w from range(${PAIRS})) to '${parquet}' (format parquet, compression snappy)`,
    );
  if (!existsSync(csv))
    await connection.run(
      `copy (select i as id, (i * 7919) % 100 as k, round(random() * 1000, 3) as v from range(${CSV_ROWS}) t(i)) to '${csv}'`,
    );
  const peers = [
    {
      name: "sum(v * w), 4M rows of Parquet",
      spec: {
        source: { file: "pairs.parquet" },
        value: "v",
        levels: [{ name: "total", by: [], reduce: "weightedSum", weights: { column: "w" } }],
      },
      sql: `select sum(v * w) from '${parquet}'`,
      atMost: 3,
    },
    {
      name: "sum of 10M rows of CSV by a key",
      spec: {
        source: { file: "rows.csv" },
        value: "v",
        levels: [
          { name: "k", by: ["k"], reduce: "sum" },
          { name: "total", by: [], reduce: "sum" },
        ],
      },
      sql: `select sum(s) from (select k, sum(v) as s from '${csv}' group by k)`,
      atMost: 1.3,
    },
  ];
  const cases = [];
  const checks = [];
  for (const [i, { name, spec, sql, atMost }] of peers.entries()) {
    const path = join(folder, `spec-${i}.json`);
    writeFileSync(path, JSON.stringify(spec));
    const ours = async () => engine.run(await loadSpec(path));
    const theirs = async () => (await connection.runAndReadAll(sql)).getRows()[0][0];
    const [{ value }, other] = [await ours(), await theirs()];
    if (Math.abs(value - other) > 1e-9 * Math.abs(other)) throw new Error(`DuckDB computed ${other}, Fourfold ${value}`);
    const measured = await interleave(
      [
        { name: `fourfold, ${name}`, threads: cores, run: ours },
        { name: `DuckDB, ${name}`, threads: cores, run: theirs },
      ],
      { samples: quick ? 5 : 15, warmups: 1 },
    );
    for (const c of measured) c.sound = c.times.map(() => true); // both wait for files and for each other's stages
    const { median, low, high, best } = speedOf(measured[1], measured[0]);
    cases.push(...measured);
    checks.push(check(`time against DuckDB's own SQL: ${name}`, median, { atMost, spread: [low, high], best }));
  }
  for (const i of peers.keys()) rmSync(join(folder, `spec-${i}.json`));
  return { cases, checks };
}
