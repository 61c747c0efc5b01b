/** A shared secret, compared in a time that says nothing about where a wrong one differs. It is kept as a hash, and never shown. */
import { createHash, timingSafeEqual } from "node:crypto";
import { FourfoldError } from "../../errors.ts";

/** Shorter ones can be guessed over a network. */
const LENGTH_MIN = 16;
/** The longest token: a line of it is a limit on what a stranger can make the listener hold. */
export const TOKEN_LENGTH_MAX = 1024;

const hash = (text: string | Uint8Array): Buffer => createHash("sha256").update(text).digest();

export class Token {
  readonly #hash: Buffer;

  /** @throws FourfoldError ERR_FOURFOLD_ARGUMENT, without the token */
  constructor(token: unknown) {
    if (typeof token !== "string" || token.length < LENGTH_MIN || token.length > TOKEN_LENGTH_MAX || !/^[\x21-\x7e]+$/.test(token))
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", 'option "token" is not a token', {
        expected: `${LENGTH_MIN} to ${TOKEN_LENGTH_MAX} ASCII characters without blanks`,
        fix: `Give ${LENGTH_MIN} to ${TOKEN_LENGTH_MAX} ASCII characters without blanks, for example from randomBytes(24).toString("base64url")`,
      });
    this.#hash = hash(token);
  }

  /** True if `given` is the token. */
  matches(given: string | Uint8Array): boolean {
    return timingSafeEqual(this.#hash, hash(given));
  }
}
