/**
 * Who still needs an open source: runs hold it for as long as they last, reads for as long as they go on. Closing refuses new ones at once,
 * and what lies open is closed when the last is through: a number of a file that is closed soon means another file. It reads nothing.
 */
import { checkOpen } from "./reading.ts";

/** See the head of this file. */
export class Holds {
  readonly #name: string;
  readonly #close: () => Promise<void>;
  #runs = 0;
  #reads = 0;
  #over: Promise<void> | undefined;
  #end: () => void = () => undefined;

  /** @param close closes what lies open; called once */
  constructor(name: string, close: () => Promise<void>) {
    this.#name = name;
    this.#close = close;
  }

  /** Holds the source for a run; what it returns ends that. @throws FourfoldError ERR_FOURFOLD_SOURCE if it is closed */
  hold(): () => void {
    checkOpen(this.#over !== undefined, this.#name);
    this.#runs++;
    let held = true;
    return () => {
      if (held) this.#runs--;
      held = false;
      this.#endIfFree();
    };
  }

  /** Holds the source for a read. A run that holds it may read on after it was closed. @throws FourfoldError ERR_FOURFOLD_SOURCE if it is closed */
  async during<T>(read: () => Promise<T>): Promise<T> {
    checkOpen(this.#over !== undefined && this.#runs === 0, this.#name);
    this.#reads++;
    try {
      return await read();
    } finally {
      this.#reads--;
      this.#endIfFree();
    }
  }

  /** Resolves when all is closed; once more is no error. */
  close(): Promise<void> {
    this.#over ??= new Promise<void>((resolve) => {
      this.#end = resolve;
    }).then(this.#close);
    this.#endIfFree();
    return this.#over;
  }

  #endIfFree(): void {
    if (this.#runs + this.#reads === 0) this.#end();
  }
}
