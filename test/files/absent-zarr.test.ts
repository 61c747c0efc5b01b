// Without the optional zarrita package other tensors still open, and Zarr says what to install.
import { readFileSync } from "node:fs";
import { afterAll, expect, test, vi } from "vitest";
import { openTensor } from "../../src/files/index.ts";
import { Folder, failure } from "./fixture.ts";
import { npyFile, typeOf, zarr3 } from "./tensor-files.ts";

vi.mock("zarrita", () => {
  throw new Error("Cannot find package 'zarrita'");
});

const folder = new Folder();
afterAll(() => folder.remove());

test("without zarrita, a Zarr array names the command that installs it, of the version that is tested", async () => {
  const { devDependencies } = JSON.parse(readFileSync("package.json", "utf8")) as { devDependencies: Record<string, string> };
  const values = Float32Array.of(1);
  const error = await failure(openTensor(zarr3(folder, "a.zarr", { type: typeOf("f32"), shape: [1], chunks: [1], values })));
  expect(error).toMatchObject({ code: "ERR_FOURFOLD_SOURCE", fix: `Install it: npm install zarrita@${devDependencies["zarrita"]}` });
  await (await openTensor(folder.file("a.npy", npyFile("<f4", [1], Buffer.alloc(4))))).close();
});
