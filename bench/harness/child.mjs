// A peer in a process of its own that measures itself: it prints one JSON line when it is ready, then answers each line on
// stdin by one line with its seconds. So its samples interleave with ours, and its start-up is in nobody's time.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** Starts a peer. `hello` is its first line; `ask(line)` resolves to seconds. */
export async function startChild(command, args, env = {}) {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...env } });
  const lines = createInterface({ input: child.stdout });
  const waiting = [];
  const unread = [];
  let ended;
  const settle = () => {
    while (waiting.length > 0 && (unread.length > 0 || ended)) {
      const { resolve, reject } = waiting.shift();
      if (unread.length > 0) resolve(unread.shift());
      else reject(ended);
    }
  };
  lines.on("line", (text) => {
    unread.push(text);
    settle();
  });
  const end = (error) => {
    ended ??= error;
    settle();
  };
  child.on("error", end);
  child.on("close", (code) => end(new Error(`${command} ended with code ${code}`)));
  const next = () =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      settle();
    });
  const hello = JSON.parse(await next());
  return {
    hello,
    pid: child.pid,
    ask: async (text = "") => {
      child.stdin.write(`${text}\n`);
      return Number(await next());
    },
    close: () =>
      new Promise((resolve) => {
        child.once("close", resolve);
        child.stdin.end();
      }),
  };
}
