// Compares what a program printed with what a page or an example says it prints.

/**
 * Where `actual` departs from `expected`, as a sentence, or undefined if it does not. Both are compared line by line without
 * trailing blanks. In an expected line `…` stands for any text; a line of `…` alone stands for any number of lines.
 */
export function departure(expected: string, actual: string): string | undefined {
  const want = linesOf(expected);
  const got = linesOf(actual);
  const pattern = want.map((line) => (line.trim() === "…" ? "(?:.*\\n)*?" : `${line.split("…").map(literal).join(".*?")}\\n`)).join("");
  if (new RegExp(`^${pattern}$`).test(got.map((line) => `${line}\n`).join(""))) return undefined;
  const at = want.findIndex(
    (line, i) => line.trim() === "…" || !new RegExp(`^${line.split("…").map(literal).join(".*?")}$`).test(got[i] ?? ""),
  );
  return `line ${at + 1}: expected ${JSON.stringify(want[at])}, printed ${JSON.stringify(got[at])}; all that was printed:\n${actual}`;
}

function linesOf(text: string): string[] {
  return text
    .trim()
    .split("\n")
    .map((line) => line.trimEnd());
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
