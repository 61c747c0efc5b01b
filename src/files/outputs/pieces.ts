/** What a file is made of, piece by piece. */

/** Texts are gathered to pieces of about this many characters, so that a row does not cost a write. */
const PIECE = 1 << 16;

/** Pieces of a file: text, which is written as UTF-8, or bytes. An empty piece only says that more is to come. */
export type Pieces = Iterable<string | Uint8Array>;

/** Texts in larger pieces; bytes, and empty pieces, as they are. */
export function* gathered(pieces: Pieces): Generator<string | Uint8Array> {
  let text = "";
  for (const piece of pieces) {
    if (typeof piece === "string") {
      text += piece;
      if (text.length < PIECE) continue;
    }
    if (text !== "") yield text;
    text = "";
    if (typeof piece !== "string") yield piece;
  }
  if (text !== "") yield text;
}
