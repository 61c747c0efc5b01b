// Setting up, as far as it goes without the network: .ci/run does the rest.
import { createHash } from "node:crypto";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type Ended, ROOT, runNode } from "../child.ts";
import { folderOf } from "./bin.ts";

const WHEEL = "tensorflow_cpu-2.15.1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl";

/** A project that has this package and a package tfjs-node whose binding is no TensorFlow, and programs that stand in for real ones. */
const project = folderOf({
  "package.json": '{ "name": "project", "private": true }',
  "node_modules/@tensorflow/tfjs-node/package.json": '{ "version": "4.22.0" }',
  "node_modules/@tensorflow/tfjs-node/binding/tfjs_binding.cc": "no C++",
  "library/libtensorflow_cc.so.2": "a library",
  "library/libtensorflow_framework.so.2": "a framework",
  "half/libtensorflow_cc.so.2": "a library without its framework",
  "tensorflow-2.18.1-cp311-cp311-manylinux_2_17_x86_64.whl": "too new",
  [WHEEL]: "not what it is called",
});
const bin = join(project, "bin");
mkdirSync(bin);
/** A program that writes its arguments down and does what `script` says. */
function program(name: string, script: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\necho "${name} $*" >> "${join(project, "log")}"\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}
mkdirSync(join(project, "node_modules/fourfold"), { recursive: true });
cpSync(join(ROOT, "dist"), join(project, "node_modules/fourfold/dist"), { recursive: true });
cpSync(join(ROOT, "package.json"), join(project, "node_modules/fourfold/package.json"));
symlinkSync(process.execPath, join(bin, "node"));
for (const tool of ["sh", "rm", "mkdir", "cp"])
  symlinkSync(existsSync(`/bin/${tool}`) ? `/bin/${tool}` : `/usr/bin/${tool}`, join(bin, tool));
program("python3", "exit 1");
program("npm", "exit 0");
afterAll(() => rmSync(project, { recursive: true, force: true }));

const cache = join(project, "cache");
const folder = join(cache, "fourfold", `tensorflow-${process.platform}-${process.arch}`);
const setup = (...args: string[]): Promise<Ended> =>
  runNode([join(project, "node_modules/fourfold/dist/cli/main.js"), "setup", ...args], {
    cwd: project,
    env: { PATH: bin, XDG_CACHE_HOME: cache, CXX: undefined },
  });

describe("fourfold setup", () => {
  test.each([
    [[], /setup takes the name of one backend/],
    [["tensorflow", "now"], /setup takes the name of one backend/],
    [["tensorfow"], /Did you mean tensorflow\?/],
    [["tensorflow", "--source", "pipp"], /Did you mean pip\?/],
    [["tensorflow", "--source", "pip", "--from", "x"], /exclude each other/],
    [["webgpu", "--source", "pip"], /--source and --from are for tensorflow/],
  ])("%j is refused", async (args, expected) => {
    const { code, stdout, stderr } = await setup(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(expected);
  });

  test("--dry-run says every step with its command, and does none", async () => {
    const before = readdirSync(project);
    const { code, stdout, stderr } = await setup("tensorflow", "--dry-run");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.match(/^\S.*?(?= {2})/gm)).toEqual([
      "package",
      "binding",
      ...["cache", "official", "python", "pip", "maven"].map((name) => `library: ${name}`),
      "proof",
    ]);
    expect(stdout).toMatch(/pip download .*tensorflow-cpu==2\.15\.1\n.*sha256 [0-9a-f]{64}\n/);
    expect(readdirSync(project)).toEqual(before);
    expect(existsSync(cache)).toBe(false);
  });
});

describe("fourfold setup webgpu", () => {
  test("--dry-run says what npm is told, other optional packages included, and does nothing", async () => {
    const before = readdirSync(project);
    const { code, stdout, stderr } = await setup("webgpu", "--dry-run");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(
      /^packages +npm install --no-save .* @tensorflow\/tfjs-backend-webgpu@4\.22\.0 webgpu@0\.6\.2 @tensorflow\/tfjs-node@4\.22\.0, in /m,
    );
    expect(readdirSync(project)).toEqual(before);
  });

  test("packages that npm puts nowhere are told with the command to run by hand", async () => {
    const { code, stdout, stderr } = await setup("webgpu");
    expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringMatching(/^fetching +.*webgpu, 51 MB, with npm\n$/) });
    expect(stderr).toMatch(
      /where fourfold does not find it\. Run: npm install .* webgpu@0\.6\.2 in the project .*\[ERR_FOURFOLD_SETUP\]\n$/,
    );
  });

  test("packages of another version are refused, and ones that do not load are not called set up", async () => {
    const packages = folderOf({
      "package.json": '{ "name": "project", "private": true }',
      "node_modules/@tensorflow/tfjs-core/package.json": '{ "version": "4.22.0" }',
      "node_modules/@tensorflow/tfjs-backend-webgpu/package.json": '{ "version": "4.22.0" }',
      "node_modules/webgpu/package.json": '{ "version": "0.5.0" }',
    });
    try {
      cpSync(join(project, "node_modules/fourfold"), join(packages, "node_modules/fourfold"), { recursive: true });
      const run = (): Promise<Ended> =>
        runNode([join(packages, "node_modules/fourfold/dist/cli/main.js"), "setup", "webgpu"], { cwd: packages, env: { PATH: bin } });
      expect((await run()).stderr).toContain("webgpu is version 0.5.0, the backend is made for 0.6.2");
      writeFileSync(join(packages, "node_modules/webgpu/package.json"), '{ "version": "0.6.2", "type": "module", "main": "index.js" }');
      writeFileSync(join(packages, "node_modules/webgpu/index.js"), "throw new Error('no binary for this machine');");
      const { code, stdout, stderr } = await run();
      expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringMatching(/^packages +@tensorflow\/tfjs-core 4\.22\.0, .*\n$/) });
      expect(stderr).toMatch(/backend "webgpu" did not load: no binary for this machine.*\[ERR_FOURFOLD_SETUP\]\n$/);
    } finally {
      rmSync(packages, { recursive: true, force: true });
    }
  });
});

describe.skipIf(process.platform !== "linux" || process.arch !== "x64")("what goes wrong is told, with the way out", () => {
  test("no compiler", async () => {
    const { code, stderr } = await setup("tensorflow", "--from", "library");
    expect(code).toBe(1);
    expect(stderr).toMatch(/there is no C\+\+ compiler \("g\+\+", "clang\+\+"\).*apt-get install g\+\+ \[ERR_FOURFOLD_SETUP\]\n$/);
  });

  test("a compiler that fails", async () => {
    program("g++", 'case "$*" in --version) exit 0;; esac; echo "fatal error: no" >&2; exit 1');
    const { code, stderr } = await setup("tensorflow", "--from", "library");
    expect(code).toBe(1);
    expect(stderr).toContain("g++: fatal error: no");
  });

  test("sources that fail, each with its reason; and no work is left behind", async () => {
    // From here on the compiler "compiles": it writes the file after -o.
    program("g++", 'case "$*" in --version) exit 0;; esac; while [ "$1" != -o ]; do shift; done; echo compiled > "$2"');
    program("mvn", "echo 'no route to host' >&2; exit 1");
    for (const [args, expected] of [
      [["--from", "nowhere.whl"], /there is no .*nowhere\.whl/],
      [["--from", "half"], /half holds no libtensorflow_cc\.so\.2/],
      [["--from", "tensorflow-2.18.1-cp311-cp311-manylinux_2_17_x86_64.whl"], /is TensorFlow 2\.18\.1, needed is 2\.12 to 2\.16/],
      [["--from", WHEEL], new RegExp(`has the sha256 ${createHash("sha256").update("not what it is called").digest("hex")}, expected`)],
      [["--source", "cache"], /holds no library/],
      [["--source", "python"], /Python has no TensorFlow installed/],
      [["--source", "pip"], /python3 -m pip download: ended with 1/],
      [["--source", "maven"], /mvn .*: no route to host/],
    ] as const) {
      const { code, stderr } = await setup("tensorflow", ...args);
      expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(expected) });
      expect(stderr).toMatch(/Get tensorflow_cpu-2\.15\.1-\S+\.whl from PyPI .*--from FILE \[ERR_FOURFOLD_SETUP\]\n$/);
    }
    expect(readdirSync(folder).filter((name) => !name.startsWith("binding-"))).toEqual([]);
  });

  test("a download that is not what it should be is not kept", async () => {
    program("python3", `while [ "$1" != -d ]; do shift; done; echo tampered > "$2/${WHEEL}"`);
    const { code, stderr } = await setup("tensorflow", "--source", "pip");
    expect(code).toBe(1);
    expect(stderr).toMatch(/has the sha256 [0-9a-f]{64}, expected 54660c07/);
    expect(readdirSync(folder).filter((name) => !name.startsWith("binding-"))).toEqual([]);
  });

  test("a library that does not compute is not called set up", async () => {
    const { code, stdout, stderr } = await setup("tensorflow", "--from", "library");
    expect(code).toBe(1);
    expect(stdout).toMatch(/^binding +compiled by an earlier set-up\n^library +.*library$/m);
    expect(stderr).toMatch(/backend "tensorflow" /);
  });

  test("a Python of the wrong version is named", async () => {
    program("python3", `echo '[["tensorflow", "2.18.0", "/opt/tensorflow"]]'`);
    expect((await setup("tensorflow", "--source", "python")).stderr).toContain("Python has tensorflow 2.18.0, needed is 2.12 to 2.16");
  });

  test("a project of another package manager gets that manager's command", async () => {
    rmSync(join(project, "node_modules/@tensorflow"), { recursive: true });
    writeFileSync(join(project, "pnpm-lock.yaml"), "");
    expect((await setup("tensorflow")).stderr).toContain(
      "Run: pnpm add --ignore-scripts @tensorflow/tfjs-node@4.22.0, then this command again",
    );
  });
});
