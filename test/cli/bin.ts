// The built command and small inputs for it.
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type ChildOptions, type Ended, ROOT, runNode } from "../child.ts";

/** The command as the package ships it. */
export const BIN: string = join(ROOT, "dist", "cli", "main.js");

/** Runs the command to its end. */
export function fourfold(args: readonly string[], options: ChildOptions = {}): Promise<Ended> {
  return runNode([BIN, ...args], options);
}

/** A folder of its own that holds `files`. */
export function folderOf(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = mkdtempSync(join(tmpdir(), "fourfold-cli-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

/** A spec over `file` with one level for each name: sums by the first columns, then fewer. */
export function specOf(file: string, changes: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    source: { file },
    value: "x",
    levels: [
      { name: "city", by: ["country", "city"], reduce: "sum" },
      { name: "country", by: ["country"], reduce: "mean" },
      { name: "world", by: [], reduce: "sum" },
    ],
    ...changes,
  });
}

/** The bits of a float64 as the command writes them. */
export function bitsOf(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes.toString("hex");
}

/** An NPY file, version 1.0, little endian, C order. */
export function npy(shape: readonly number[], data: Float32Array | Float64Array): Uint8Array {
  const dict = `{'descr': '${data instanceof Float32Array ? "<f4" : "<f8"}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const header = `${dict.padEnd(64 * Math.ceil((dict.length + 11) / 64) - 11)}\n`;
  const head = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  return Buffer.concat([head, Buffer.from(header, "latin1"), Buffer.from(data.buffer, data.byteOffset, data.byteLength)]);
}
