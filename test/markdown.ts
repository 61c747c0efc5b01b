// Reads the fenced blocks of a Markdown page and says how each one is to be checked.

/** One check of a page. */
export type Check =
  /** A program of its own; `continues` says that it goes on from the one before. Prints `expected`, where that is given. */
  | {
      readonly kind: "module";
      readonly line: number;
      readonly language: "js" | "ts";
      readonly source: string;
      readonly expected: string | undefined;
    }
  /** Shell commands. */
  | { readonly kind: "commands"; readonly line: number; readonly source: string; readonly expected: string | undefined }
  /** A JSON document; `file` is the one that it quotes. */
  | { readonly kind: "json"; readonly line: number; readonly source: string; readonly file: string | undefined }
  /** A block that nothing can check. */
  | { readonly kind: "unchecked"; readonly line: number; readonly why: string };

interface Block {
  readonly line: number;
  readonly language: string;
  readonly words: readonly string[];
  readonly text: string;
}

/** Commands that set the project up. The project's check runs them on a fresh clone, so a page need not. */
const SET_UP = /^(npm (install|test|start|run bench)\b.*|git clone\b.*|cd [\w-]+)$/;

/** Printed between the programs that a block goes on from and the block itself. */
export const SEAM = "-- here the block begins --";

/**
 * The checks of a page:
 * - `js` and `ts` blocks run as modules. `js continues` goes on from the program above it.
 * - `sh` blocks run line by line, but for the set-up commands.
 * - a `text` block right after one of these is what it prints (see printed.ts for `…`). Without one, a `// comment` after each
 *   `console.log(…);` is what that line prints.
 * - `json` blocks parse; `json path` quotes a file.
 * - `unchecked` after a language excuses a block. Everything else is "unchecked" with a reason, which fails the page.
 */
export function checksOf(page: string): Check[] {
  const checks: Check[] = [];
  const blocks = blocksOf(page);
  let above = "";
  for (const [i, block] of blocks.entries()) {
    const { line, language, words, text } = block;
    if (words.includes("unchecked")) continue;
    const next = blocks[i + 1];
    const printed = next?.language === "text" && !next.words.includes("unchecked") ? next.text : undefined;
    if (language === "js" || language === "ts") {
      const source = words.includes("continues") ? `${above}\nconsole.log(${JSON.stringify(SEAM)});\n${text}` : text;
      checks.push({ kind: "module", line, language, source, expected: printed ?? commentsOf(text) });
      above = source.replaceAll(`console.log(${JSON.stringify(SEAM)});\n`, "");
    } else if (language === "sh") {
      const source = text
        .split("\n")
        .filter((command) => command.split("&&").some((part) => !SET_UP.test(part.trim())))
        .join("\n");
      if (source.trim() !== "") checks.push({ kind: "commands", line, source, expected: printed });
    } else if (language === "json") {
      checks.push({ kind: "json", line, source: text, file: words[0] });
    } else if (language !== "text") {
      checks.push({
        kind: "unchecked",
        line,
        why: `no check for "${language}" blocks; write "${language || "text"} unchecked" if it cannot have one`,
      });
    } else if (!["js", "ts", "sh"].includes(blocks[i - 1]?.language ?? "")) {
      checks.push({ kind: "unchecked", line, why: "a text block holds what the block above it prints, and none is above it" });
    }
  }
  return checks;
}

function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  const lines = page.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const open = /^( *)(`{3,})(.*)$/.exec(lines[i]!);
    if (open === null) continue;
    const [, indent, fence, info] = open as unknown as [string, string, string, string];
    const [language = "", ...words] = info.trim().split(/\s+/);
    const end = lines.findIndex((line, j) => j > i && line.trim() === fence);
    if (end < 0) throw new Error(`line ${i + 1}: the block has no end`);
    const text = lines.slice(i + 1, end).map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
    blocks.push({ line: i + 1, language, words, text: text.join("\n") });
    i = end;
  }
  return blocks;
}

/** What the comments after each console.log say is printed, or undefined unless every one of them says so. */
function commentsOf(source: string): string | undefined {
  const prints = source.split("\n").filter((line) => /^\s*console\.log\(/.test(line));
  const comments = prints.map((line) => /\);\s*\/\/ (.*)$/.exec(line)?.[1]);
  return prints.length > 0 && comments.every((comment) => comment !== undefined) ? comments.join("\n") : undefined;
}
