// A process that writes checkpoints until it is killed: node writes-checkpoints.mjs DIR BYTES. It says which ones are on the disk.
import { writeSync } from "node:fs";
import { CheckpointStore } from "../../dist/stream/checkpoints.js";

const [dir, bytes] = process.argv.slice(2);
try {
  const store = await CheckpointStore.open(dir, { bytesMax: 1 << 26 });
  const payload = new Uint8Array(Number(bytes));
  const view = new DataView(payload.buffer);
  const last = await store.latest();
  let n = last === undefined || last.length < 4 ? 0 : new DataView(last.buffer, last.byteOffset).getUint32(0);
  writeSync(1, `from ${n}\n`);
  for (;;) {
    n++;
    payload.fill(n & 255);
    view.setUint32(0, n);
    await store.write(payload);
    writeSync(1, `${n}\n`);
  }
} catch (error) {
  writeSync(2, `${error.code}: ${error.message}\n`);
  process.exitCode = 1;
}
