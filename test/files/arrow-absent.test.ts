// Without the optional LZ4 package plain files are read, and a compressed one says what to install.
import { afterAll, expect, test, vi } from "vitest";
import { openArrowTensor } from "../../src/files/index.ts";
import { ROOT, runNode } from "../child.ts";
import { Folder, failure } from "./fixture.ts";

vi.mock("lz4-napi", () => {
  throw new Error("Cannot find package 'lz4-napi'");
});

const folder = new Folder();
afterAll(() => folder.remove());

test("without lz4-napi, a file compressed with LZ4 names the command that installs it", async () => {
  // Written in a process of its own that has the package.
  const program = `
    import { CompressionType, compressionRegistry, Float64, RecordBatchFileWriter, Table, vectorFromArray } from "apache-arrow";
    import { compressFrameSync } from "lz4-napi";
    compressionRegistry.set(CompressionType.LZ4_FRAME, { encode: (bytes) => compressFrameSync(Buffer.from(bytes)) });
    const writer = new RecordBatchFileWriter({ compressionType: CompressionType.LZ4_FRAME });
    writer.write(new Table({ x: vectorFromArray(new Float64Array(1000), new Float64()) }));
    const bytes = Buffer.from(writer.finish().toUint8Array(true));
    const at = bytes.indexOf(Buffer.of(4, 0x22, 0x4d, 0x18));
    bytes.writeBigInt64LE(8000n, at - 8); // what it holds, as the format says; the library writes the size of the frame
    process.stdout.write(bytes.toString("base64"));`;
  const { stdout, stderr } = await runNode(["--input-type=module", "--eval", program], { cwd: ROOT });
  expect(stderr).toBe("");
  const error = await failure(openArrowTensor(folder.file("x.arrow", Buffer.from(stdout, "base64"))));
  expect(error.code).toBe("ERR_FOURFOLD_SOURCE");
  expect(error.fix).toContain("npm install lz4-napi@2.10.0");
});
