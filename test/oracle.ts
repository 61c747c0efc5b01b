/** Asks test/oracle.py: the contract by another hand in another language. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "./child.ts";

/** One chain over one input; numbers are float64 bits in hex. */
export interface Question {
  readonly levels: readonly {
    readonly kind: string;
    readonly ddof: number;
    readonly offsets: readonly number[];
    readonly weights: readonly string[] | "count" | null;
  }[];
  readonly leaves: readonly string[];
  readonly form: "rows" | "records";
  readonly nan: "propagate" | "skip";
  readonly accuracy: "reproducible" | "exact";
}

/** Answers of the oracle, in the order of the questions. */
export async function ask(questions: readonly unknown[]): Promise<unknown[]> {
  const python = spawn("python3", [join(ROOT, "test/oracle.py")], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve, reject) => {
    python.on("error", (cause) => reject(new Error("this test asks Python 3 for its own answer: install python3", { cause })));
    python.on("close", (code) => (code === 0 ? resolve() : reject(new Error(`oracle.py ended with ${code}`))));
  });
  ended.catch(() => undefined); // awaited below
  python.stdin.on("error", () => undefined); // the exit says it
  python.stdin.end(questions.map((question) => `${JSON.stringify(question)}\n`).join(""));
  const answers: unknown[] = [];
  for await (const line of createInterface({ input: python.stdout })) answers.push(JSON.parse(line));
  await ended;
  return answers;
}
