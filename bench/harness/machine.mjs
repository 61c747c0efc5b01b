// What the figures were taken on, in words that name the kind of machine and nothing about whose it is.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";

/** Facts that a figure cannot be read without. */
export function machine() {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return {
    cpu: cpus()[0].model.trim(),
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    lastLevelCacheMiB: lastLevelCacheBytes() / 2 ** 20,
    hugePages: line("/sys/kernel/mm/transparent_hugepage/enabled")?.match(/\[(\w+)\]/)?.[1] ?? "unknown",
    node: process.versions.node,
    v8: process.versions.v8,
    fourfold: version,
  };
}

/** The name of the machine's results file: its CPU and cores. */
export function machineSlug({ cpu, cores }) {
  return `${slug(cpu)}-${cores}-cores`;
}

/** Words as part of a file's name. */
export function slug(words) {
  return words
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}

/** Bytes of the cache that a working set must exceed to be read from memory; 32 MiB where the system does not tell. */
export function lastLevelCacheBytes() {
  for (const index of [4, 3, 2]) {
    const size = line(`/sys/devices/system/cpu/cpu0/cache/index${index}/size`)?.match(/^(\d+)([KM])/);
    if (size) return Number(size[1]) * (size[2] === "M" ? 2 ** 20 : 2 ** 10);
  }
  return 32 * 2 ** 20;
}

/** CPU seconds of this process, or of all threads of another (Linux only, else undefined). */
export function cpuSeconds(pid) {
  if (pid === undefined) {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  }
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return undefined;
  let nanoseconds = 0;
  for (const task of readdirSync(tasks)) nanoseconds += Number(line(`${tasks}/${task}/schedstat`)?.split(" ")[0] ?? 0);
  return nanoseconds / 1e9;
}

function line(file) {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}
