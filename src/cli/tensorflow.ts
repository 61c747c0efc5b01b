/**
 * Gets the native TensorFlow library for @tensorflow/tfjs-node, whose own installer depends on hosts that many machines do not
 * reach. Four steps: the npm package without its install script; a binding compiled from the package's own sources; a library, from the
 * first place that has one that works; a proof by computing. What was fetched or compiled is kept in the user's cache.
 *
 * The binding is linked against empty libraries of the right names, so that one binding serves every TensorFlow of the window.
 */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  createReadStream,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { FourfoldError, show, throwIfAborted } from "../errors.ts";
import type { Progress } from "../types.ts";
import { runProgram } from "./children.ts";
import { failed, install, installArguments, packageFolder, projectFolder, succeeded, type Wanted } from "./packages.ts";
import { tryInChild } from "./trial.ts";
import { readEntries, unpack } from "./zip.ts";

const PACKAGE = "@tensorflow/tfjs-node";
const WANTED: Wanted = { name: PACKAGE, version: "4.22.0" };
const NODE_API_HEADERS = "node-api-headers@1.9.0";

/** Where a library can come from, in the order they are tried. */
export const SOURCES = ["cache", "official", "python", "pip", "maven"] as const;

/** One of {@link SOURCES}. */
export type Source = (typeof SOURCES)[number];

/**
 * Python wheels that hold a library for us: before 2.12 it does not load outside Python, and from 2.17 on rounding int32 tensors
 * through tfjs-node silently gives zeros.
 */
const WHEELS = { minorMin: 12, minorMax: 16 } as const;

/** An archive with the library whose content is known. */
interface Pinned {
  readonly version: string;
  readonly file: string;
  readonly sha256: string;
  readonly megabytes: number;
}

const WHEEL: Pinned = {
  version: "2.15.1",
  file: "tensorflow_cpu-2.15.1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
  sha256: "54660c074d7241a503e81edfd9f5ef5af88f64051b72e2945f26318c790f2d26",
  megabytes: 207,
};

/** TensorFlow for Java 0.5.0. */
const JAR: Pinned = {
  version: "2.10.1",
  file: "tensorflow-core-api-0.5.0-linux-x86_64.jar",
  sha256: "f394c5be26c8f3b644cdc77e6741b2cfe774caa8aedeb969c50e074444feac55",
  megabytes: 117,
};

const pipArguments = (to: string): string[] => [
  ...["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"],
  ...["--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64", "-d", to, `tensorflow-cpu==${WHEEL.version}`],
];

const mavenArguments = (to: string): string[] => [
  ...["-q", "-B", "dependency:copy", "-Dartifact=org.tensorflow:tensorflow-core-api:0.5.0:jar:linux-x86_64", `-DoutputDirectory=${to}`],
];

/** What tfjs-node's own installer downloads on Linux; asked for first, so that a host that cannot be reached costs seconds. */
const OFFICIAL_URL = "https://storage.googleapis.com/tensorflow/libtensorflow/libtensorflow-cpu-linux-x86_64-2.9.1.tar.gz";
const OFFICIAL_ANSWER_MS_MAX = 10_000;
const OFFICIAL_MS_MAX = 600_000;

/** The names under which the binding looks for the library. */
const LIBRARY = "libtensorflow.so.2";
const FRAMEWORK = "libtensorflow_framework.so.2";
/** What the library is called in wheels and archives, and in TensorFlow's C package. */
const LIBRARY_NAMES: readonly string[] = ["libtensorflow_cc.so.2", LIBRARY];

/** Node-API 8 is what node-pre-gyp chooses on every Node that Fourfold runs on. */
const BINDING = join("lib", "napi-v8", "tfjs_binding.node");

/** How to set up. */
export interface SetupOptions {
  /** Only this source. */
  readonly source: Source | undefined;
  /** A wheel, a Java archive, or a folder that holds the library. */
  readonly from: string | undefined;
  readonly signal: AbortSignal;
  /** Says what was done: the step and what came of it. */
  readonly tell: (step: string, what: string) => void;
  readonly onProgress: (progress: Progress | undefined) => void;
  /** True to let npm, pip and Maven show their own progress. */
  readonly shown: boolean;
}

/** Where the two files of a library are. */
interface Library {
  readonly library: string;
  readonly framework: string;
  readonly what: string;
}

/** What setting up would do, in words. Changes and fetches nothing. */
export function planTensorflow({ source, from }: Pick<SetupOptions, "source" | "from">): string {
  const folder = packageFolder(WANTED);
  const cache = cacheFolder();
  const lines: [string, string][] = [
    ["package", folder === undefined ? `npm ${installArguments([WANTED]).join(" ")}, in ${projectFolder()}` : `is there: ${folder}`],
    ["binding", `${compilerNames().join(" or ")}: compiles the package's binding, 77 KB, once; kept in ${cache}`],
  ];
  const told: Readonly<Record<Source, string>> = {
    cache: `a library of an earlier set-up in ${cache}`,
    official: `npm rebuild ${PACKAGE}, if its host answers; at most ${OFFICIAL_MS_MAX / 60_000} minutes`,
    python: `TensorFlow 2.${WHEELS.minorMin} to 2.${WHEELS.minorMax} that Python has installed; linked, not copied`,
    pip: `python3 ${pipArguments("FOLDER").join(" ")}\n${WHEEL.megabytes} MB, sha256 ${WHEEL.sha256}`,
    maven: `mvn ${mavenArguments("FOLDER").join(" ")}\n${JAR.megabytes} MB, sha256 ${JAR.sha256}`,
  };
  if (from !== undefined) lines.push(["library", resolve(from)]);
  else for (const name of source ? [source] : SOURCES) lines.push([`library: ${name}`, told[name]]);
  lines.push(["proof", "a chain of four levels is computed in a process of its own"]);
  const width = Math.max(...lines.map(([step]) => step.length)) + 2;
  return lines.map(([step, what]) => `${step.padEnd(width)}${what.replaceAll("\n", `\n${" ".repeat(width)}`)}\n`).join("");
}

/** Sets up the backend "tensorflow". @throws FourfoldError ERR_FOURFOLD_SETUP with what each source said */
export async function setUpTensorflow(options: SetupOptions): Promise<void> {
  try {
    await setUp(options);
  } catch (error) {
    throwIfAborted(options.signal);
    if (error instanceof FourfoldError || (error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw failed((error as Error).message, "Check the rights and the space of that folder");
  }
}

async function setUp(options: SetupOptions): Promise<void> {
  const { source, from, tell, signal } = options;
  const folder = packageFolder(WANTED) ?? (await install([WANTED], options))[0]!;
  tell("package", `${PACKAGE} ${WANTED.version} in ${folder}`);
  const wanted = from === undefined && source === undefined;
  if (wanted && existsSync(join(folder, BINDING))) {
    const { present, version } = await tryInChild("tensorflow", signal);
    if (present) return tell("proof", `TensorFlow ${version} works already`);
  }
  const prepared = process.platform === "linux" && process.arch === "x64";
  const sources = source ? [source] : SOURCES.filter((name) => prepared || name === "official");
  const reasons: string[] = [];
  let bound = false;
  for (const name of from === undefined ? sources : (["from"] as const)) {
    throwIfAborted(signal);
    try {
      if (name !== "official") {
        if (!prepared)
          throw failed(`on ${process.platform} ${process.arch} only the official installer is known to work`, "Use --source official");
        // Before any download: without a compiler it would be for nothing.
        if (!bound) tell("binding", await bind(folder, options));
        bound = true;
        const library = name === "from" ? await fromPath(from!, options) : await FINDERS[name](options);
        stage(library, folder);
        tell("library", library.what);
      } else await installOfficially(folder, options);
      const { present, version, note } = await tryInChild("tensorflow", signal);
      if (present) return tell("proof", `TensorFlow ${version} works: a chain of four levels was within its error bound`);
      throw failed(note, "");
    } catch (error) {
      throwIfAborted(signal);
      if (!(error instanceof FourfoldError) || error.code !== "ERR_FOURFOLD_SETUP" || error.given === "binding") throw error;
      const reason = error.message.replace(/\.\s*$/, "");
      if (name !== "cache" || source === "cache") tell(`not ${name}`, reason);
      reasons.push(`${name}: ${reason}`);
    }
  }
  throw failed(
    `no TensorFlow library was found (${reasons.join("; ")})`,
    `Get ${WHEEL.file} from PyPI on another machine, then: fourfold setup tensorflow --from FILE`,
  );
}

function cacheFolder(): string {
  const base = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(base, "fourfold", `tensorflow-${process.platform}-${process.arch}`);
}

async function installOfficially(folder: string, { signal, shown }: SetupOptions): Promise<void> {
  if (process.platform === "linux") {
    const answer = await fetch(OFFICIAL_URL, {
      method: "HEAD",
      signal: AbortSignal.any([signal, AbortSignal.timeout(OFFICIAL_ANSWER_MS_MAX)]),
    }).catch((error: Error) => ({ ok: false, status: (error.cause as { code?: string } | undefined)?.code ?? error.message }));
    if (!answer.ok) throw failed(`${new URL(OFFICIAL_URL).host} does not give the library (${answer.status})`, "");
  }
  succeeded(
    await runProgram("npm", ["rebuild", PACKAGE], { cwd: projectFolder(), signal, shown, timeoutMs: OFFICIAL_MS_MAX }),
    `npm rebuild ${PACKAGE}`,
  );
  if (!existsSync(join(folder, BINDING))) throw failed(`npm rebuild ${PACKAGE} left no binding`, "");
}

/** The places that a library can come from, other than the official installer. */
const FINDERS: Readonly<Record<Exclude<Source, "official">, (options: SetupOptions) => Promise<Library>>> = {
  cache: async () => {
    const cache = cacheFolder();
    const pinned = [WHEEL, JAR].map(({ version }) => `library-${version}`);
    const others = existsSync(cache) ? readdirSync(cache).filter((name) => name.startsWith("library-") && !pinned.includes(name)) : [];
    const name = [...pinned, ...others].find((found) => existsSync(join(cache, found)));
    if (name === undefined) throw failed(`${cache} holds no library`, "");
    return libraryIn(join(cache, name));
  },
  python: async ({ signal }) => {
    const program = `import importlib.metadata as m, json
found = []
for name in ("tensorflow-cpu", "tensorflow"):
    try:
        d = m.distribution(name)
        found.append([name, d.version, str(d.locate_file("tensorflow"))])
    except m.PackageNotFoundError:
        pass
print(json.dumps(found))`;
    const { code, stdout } = await runProgram("python3", ["-c", program], { signal });
    const found = (code === 0 ? JSON.parse(stdout) : []) as [name: string, version: string, folder: string][];
    const fitting = found.find(([, version]) => wheelFits(version));
    if (fitting) return libraryIn(fitting[2], `TensorFlow ${fitting[1]} of Python: ${fitting[2]}`);
    const [other] = found;
    throw failed(
      other
        ? `Python has ${other[0]} ${other[1]}, needed is 2.${WHEELS.minorMin} to 2.${WHEELS.minorMax}`
        : "Python has no TensorFlow installed",
      "",
    );
  },
  pip: (options) => fetched(WHEEL, "python3", pipArguments, options),
  maven: (options) => fetched(JAR, "mvn", mavenArguments, options),
};

function wheelFits(version: string): boolean {
  const [major, minor] = version.split(".").map(Number);
  return major === 2 && minor! >= WHEELS.minorMin && minor! <= WHEELS.minorMax;
}

/** Fetches an archive, checks it, and keeps the library that is in it. */
async function fetched(pinned: Pinned, program: string, argumentsFor: (to: string) => string[], options: SetupOptions): Promise<Library> {
  const { signal, shown, tell } = options;
  return inTemporary(async (folder) => {
    tell("fetching", `${pinned.file}, ${pinned.megabytes} MB, with ${program}`);
    succeeded(await runProgram(program, argumentsFor(folder), { signal, shown }), `${program} ${argumentsFor(folder).join(" ")}`);
    const file = join(folder, pinned.file);
    if (!existsSync(file)) throw failed(`${program} gave ${readdirSync(folder).join(", ") || "nothing"}, expected ${pinned.file}`, "");
    const sha256 = await hashOf(file, options);
    if (sha256 !== pinned.sha256) throw failed(`${pinned.file} has the sha256 ${sha256}, expected ${pinned.sha256}`, "");
    return keep(file, `library-${pinned.version}`, options);
  });
}

async function fromPath(path: string, options: SetupOptions): Promise<Library> {
  const file = resolve(path);
  if (!existsSync(file)) throw failed(`there is no ${file}`, "");
  if (statSync(file).isDirectory()) return libraryIn(file);
  const wheel = /^tensorflow(?:_cpu)?-(\d+\.\d+[^-]*)-.*\.whl$/.exec(basename(file));
  if (wheel && !wheelFits(wheel[1]!))
    throw failed(`${basename(file)} is TensorFlow ${wheel[1]}, needed is 2.${WHEELS.minorMin} to 2.${WHEELS.minorMax}`, "");
  const sha256 = await hashOf(file, options);
  const pinned = [WHEEL, JAR].find((known) => known.file === basename(file));
  if (pinned && sha256 !== pinned.sha256) throw failed(`${pinned.file} has the sha256 ${sha256}, expected ${pinned.sha256}`, "");
  return keep(file, `library-${pinned?.version ?? sha256.slice(0, 12)}`, options);
}

/** Unpacks the library of an archive into the cache, where it appears whole or not at all. */
async function keep(archive: string, name: string, { signal, onProgress }: SetupOptions): Promise<Library> {
  const kept = join(cacheFolder(), name);
  if (existsSync(kept)) return libraryIn(kept);
  const entries = await readEntries(archive);
  const wanted = [LIBRARY_NAMES, [FRAMEWORK]].map((names) => entries.find((entry) => names.includes(basename(entry.name))));
  if (wanted.includes(undefined)) throw failed(`${archive} holds no ${LIBRARY_NAMES.join(" or ")} with ${FRAMEWORK}`, "");
  return inTemporary(async (folder) => {
    const total = wanted.reduce((sum, entry) => sum + entry!.size, 0);
    let before = 0;
    for (const [i, entry] of wanted.entries()) {
      await unpack(
        archive,
        entry!,
        join(folder, i === 0 ? LIBRARY : FRAMEWORK),
        (bytes) => onProgress({ done: before + bytes, total, unit: "bytes" }),
        signal,
      );
      before += entry!.size;
    }
    onProgress(undefined);
    if (!existsSync(kept)) renameSync(folder, kept);
    return libraryIn(kept);
  });
}

/** The library in a folder, or in its folder `lib` or `tensorflow`. */
function libraryIn(folder: string, what: string = folder): Library {
  for (const place of [folder, join(folder, "lib"), join(folder, "tensorflow")]) {
    const library = LIBRARY_NAMES.map((name) => join(place, name)).find((file) => existsSync(file));
    const framework = join(place, FRAMEWORK);
    if (library !== undefined && existsSync(framework)) return { library, framework, what };
  }
  throw failed(`${folder} holds no ${LIBRARY_NAMES.join(" or ")} with ${FRAMEWORK}`, "");
}

async function hashOf(file: string, { signal, onProgress }: SetupOptions): Promise<string> {
  const hash = createHash("sha256");
  const total = statSync(file).size;
  let done = 0;
  const read = createReadStream(file, { highWaterMark: 1 << 20 }).on("data", (chunk) => {
    done += chunk.length;
    onProgress({ done, total, unit: "bytes" });
  });
  await pipeline(read, hash, { signal });
  onProgress(undefined);
  return hash.digest("hex");
}

/** Puts the library where the binding looks for it: as a second name of the same file, which costs no space, or as a link to it. */
function stage({ library, framework }: Library, folder: string): void {
  const lib = join(folder, "deps", "lib");
  rmSync(join(folder, "deps"), { recursive: true, force: true });
  mkdirSync(lib, { recursive: true });
  for (const [file, name] of [
    [library, LIBRARY],
    [framework, FRAMEWORK],
  ] as const)
    try {
      linkSync(file, join(lib, name));
    } catch {
      symlinkSync(file, join(lib, name));
    }
}

/** True if the package is there with its binding, in the version that is set up here. */
export function isBound(): boolean {
  try {
    const folder = packageFolder(WANTED);
    return folder !== undefined && existsSync(join(folder, BINDING));
  } catch {
    return false;
  }
}

/** Puts the binding into the package, compiled or as it was compiled before. */
async function bind(folder: string, options: SetupOptions): Promise<string> {
  const sources = readdirSync(join(folder, "binding"))
    .sort()
    .map((name) => join(folder, "binding", name));
  const header = fileURLToPath(new URL("./tensorflow.h", import.meta.url));
  const hash = createHash("sha256").update(NODE_API_HEADERS);
  for (const file of [header, ...sources]) hash.update(`\0${basename(file)}\0`).update(readFileSync(file));
  const kept = join(cacheFolder(), `binding-${hash.digest("hex").slice(0, 16)}.node`);
  const found = existsSync(kept);
  const compiler = found ? "an earlier set-up" : await compile(sources, header, kept, options);
  mkdirSync(dirname(join(folder, BINDING)), { recursive: true });
  rmSync(join(folder, BINDING), { force: true });
  copyFileSync(kept, join(folder, BINDING));
  return `compiled by ${compiler}`;
}

/** A compiler of the user's choice, or one that is usual. */
function compilerNames(): readonly string[] {
  const chosen = process.env["CXX"];
  return chosen ? [chosen] : ["g++", "clang++"];
}

async function compile(sources: readonly string[], header: string, to: string, { signal, shown }: SetupOptions): Promise<string> {
  let compiler: string | undefined;
  for (const name of compilerNames())
    if (compiler === undefined && (await runProgram(name, ["--version"], { signal })).code === 0) compiler = name;
  if (compiler === undefined)
    throw failed(
      `there is no C++ compiler (${compilerNames().map(show).join(", ")}) to compile the binding`,
      "Install one, for example with: apt-get install g++",
      "binding",
    );
  return inTemporary(async (folder) => {
    const install = ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", NODE_API_HEADERS];
    succeeded(await runProgram("npm", install, { cwd: folder, signal, shown }), `npm install ${NODE_API_HEADERS}`, "binding");
    for (const name of [
      "c/c_api.h",
      "c/eager/c_api.h",
      "c/tf_datatype.h",
      "c/tf_status.h",
      "c/tf_tensor.h",
      "core/platform/ctstring_internal.h",
    ]) {
      const file = join(folder, "include", "tensorflow", name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `#include <${basename(header)}>\n`);
    }
    const empty = join(folder, "empty.cc");
    writeFileSync(empty, "");
    const run = async (args: readonly string[]): Promise<void> =>
      succeeded(await runProgram(compiler, args, { cwd: folder, signal }), compiler, "binding");
    for (const name of [LIBRARY, FRAMEWORK])
      await run(["-shared", "-fPIC", empty, `-Wl,-soname,${name}`, "-o", join(folder, name.replace(/\.2$/, ""))]);
    const built = join(folder, "binding.node");
    await run([
      ...["-shared", "-fPIC", "-O2", "-s", "-std=c++17", "-DNAPI_VERSION=8"],
      ...[join(folder, "node_modules", "node-api-headers", "include"), join(folder, "include"), dirname(header)].map((path) => `-I${path}`),
      ...sources.filter((file) => file.endsWith(".cc")),
      ...[`-L${folder}`, "-Wl,--no-as-needed", "-ltensorflow", "-ltensorflow_framework", "-Wl,-rpath,$ORIGIN/../../deps/lib", "-o", built],
    ]);
    renameSync(built, to);
    return compiler;
  });
}

/** Runs `work` with a folder inside the cache that is gone afterwards. */
async function inTemporary<T>(work: (folder: string) => Promise<T>): Promise<T> {
  mkdirSync(cacheFolder(), { recursive: true });
  const folder = mkdtempSync(join(cacheFolder(), "work-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
