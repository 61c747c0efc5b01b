/**
 * A folder that one process uses at a time. Who takes it makes an empty file whose name says who that is, then looks at all others: a living
 * one sends it back, dead ones are cleared away. No name is made twice, so clearing away never hits a lock that was just taken.
 */
import { createHash, randomBytes } from "node:crypto";
import { open, readdir, readFile, readlink, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type ErrorCode, FourfoldError } from "../errors.ts";

/** How often an owner shows processes that cannot see it (other containers, other machines) that it lives. */
const BEAT_MS = 1_000;
/** How long such a lock may stand still: above the seconds for which network file systems keep a file's times. */
const LEASE_MS = 15_000;
/** Two that come at the same moment see each other and both step back; a pause of random length lets one of them pass. */
const TRIES = 6;
const PAUSE_MS_MAX = 20;

const NAME = /^lock\.(\d+)\.(\d+)\.([0-9a-f]{8})\.([0-9a-f]{8})\.[0-9a-f]{16}$/;

/** A process as the name of its lock says it. */
interface Owner {
  readonly pid: number;
  /** When it started, in ticks since the boot; 0 where the system does not say. */
  readonly started: number;
  /** Which boot of the machine. */
  readonly boot: string;
  /** Which machine and container: inside one, process numbers mean the same. */
  readonly space: string;
}

/** What a folder is taken for, in the words of errors: the checkpoints of a stream, say. */
export interface LockPurpose {
  readonly code: ErrorCode;
  /** What lies in the folder, and the verb for it: `["checkpoints", "are"]`. */
  readonly holds: readonly [noun: string, verb: "is" | "are"];
  /** Whose it is, such as "stream". */
  readonly owner: string;
}

/** How a lock is taken. */
export interface LockOptions {
  /** How long the lock of a process that cannot be asked for may stand still until it counts as dead. 15 s by default. */
  readonly leaseMs?: number;
}

/** A taken folder. */
export class FolderLock {
  readonly #file: string;
  readonly #purpose: LockPurpose;
  readonly #beat: NodeJS.Timeout;

  private constructor(file: string, purpose: LockPurpose) {
    this.#file = file;
    this.#purpose = purpose;
    this.#beat = setInterval(() => {
      const now = new Date();
      utimes(file, now, now).catch(() => {}); // a lost lock is found by check()
    }, BEAT_MS);
    this.#beat.unref();
  }

  /** Takes a folder. @throws FourfoldError of the purpose's code if another process has it */
  static async take(dir: string, purpose: LockPurpose, { leaseMs = LEASE_MS }: LockOptions = {}): Promise<FolderLock> {
    const self = await ownerOfThis();
    const file = join(dir, `lock.${self.pid}.${self.started}.${self.boot}.${self.space}.${randomBytes(8).toString("hex")}`);
    for (let tried = 1; ; tried++) {
      await (await open(file, "wx")).close();
      const other = await livingOther(dir, file, self, leaseMs).catch(async (error: unknown) => {
        await rm(file, { force: true });
        throw error;
      });
      if (other === undefined) return new FolderLock(file, purpose);
      await rm(file, { force: true });
      if (tried === TRIES) throw inUse(dir, other, purpose);
      await delay(Math.random() * PAUSE_MS_MAX);
    }
  }

  /** @throws FourfoldError of the purpose's code if the lock was taken away: another process may have the folder by now */
  async check(): Promise<void> {
    const found = await stat(this.#file).catch(() => undefined);
    if (found !== undefined) return;
    const { code, owner } = this.#purpose;
    throw new FourfoldError(code, `the lock ${this.#file} of this ${owner} is gone`, {
      fix: `Another process may use the folder by now: give each ${owner} a folder of its own, and leave its files alone`,
      at: { file: this.#file },
    });
  }

  async release(): Promise<void> {
    clearInterval(this.#beat);
    await rm(this.#file, { force: true }).catch(() => {}); // in a folder that became read-only it stays, and is that of a dead process soon
  }
}

function inUse(dir: string, name: string, { code, holds: [noun, verb], owner }: LockPurpose): FourfoldError {
  const file = join(dir, name);
  const { pid } = parse(name)!;
  return new FourfoldError(code, `the ${noun} in ${JSON.stringify(dir)} ${verb} in use by process ${pid}`, {
    given: dir,
    fix: `Give each ${owner} a folder of its own, or end that process first; if no such ${owner} runs anywhere, remove ${file}`,
    at: { file },
  });
}

function parse(name: string): Owner | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const [, pid, started, boot, space] = match as unknown as [string, string, string, string, string];
  return { pid: Number(pid), started: Number(started), boot, space };
}

/** The name of a lock beside `mine` whose owner lives, or may live; locks of the dead are removed. */
async function livingOther(dir: string, mine: string, self: Owner, leaseMs: number): Promise<string | undefined> {
  for (const name of await readdir(dir)) {
    const file = join(dir, name);
    const owner = parse(name);
    if (owner === undefined || file === mine) continue;
    if ((await lives(owner, self)) ?? (await beats(file, leaseMs))) return name;
    await rm(file, { force: true });
  }
  return undefined;
}

/** True or false where this process can tell; undefined where it cannot. */
async function lives(owner: Owner, self: Owner): Promise<boolean | undefined> {
  if (owner.space !== self.space) return undefined;
  if (owner.boot !== self.boot) return false;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  // A number is used again after its process has ended: the later process started later.
  return (await startOf(String(owner.pid))) === owner.started;
}

/** True if the owner touches its lock within the lease. */
async function beats(file: string, leaseMs: number): Promise<boolean> {
  const before = await stat(file).catch(() => undefined);
  for (let waited = 0; waited < leaseMs; waited += BEAT_MS) {
    const now = await stat(file).catch(() => undefined);
    if (before === undefined || now === undefined) return false; // released
    if (now.mtimeMs !== before.mtimeMs) return true;
    await delay(Math.min(BEAT_MS, leaseMs - waited));
  }
  return (await stat(file).catch(() => undefined))?.mtimeMs !== before?.mtimeMs;
}

async function ownerOfThis(): Promise<Owner> {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  const names = await readlink("/proc/self/ns/pid").catch(() => "");
  return { pid: process.pid, started: await startOf("self"), boot: short(boot), space: short(`${hostname()}\n${names}`) };
}

const short = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 8);

/**
 * Field 22 of /proc/PID/stat (proc(5)), after the name, which may hold blanks and parentheses; 0 where there is no such file, and NaN for a process
 * that has ended and waits for its parent to notice.
 */
async function startOf(pid: string): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (text === undefined) return 0;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? Number.NaN : Number(fields[19] ?? 0);
}
