/**
 * Paths of keys as numbers: each key column has codes 0 … radix − 1 in ascending order of key, and the codes of several columns share one
 * float64, the outermost in its highest digits. So equal words are equal paths, and words in order are paths in order (contract clause 10a).
 */

/** Where the code of a column stands: in word `word` it is floor(w / stride) mod radix. */
export interface CodePlace {
  readonly word: number;
  readonly stride: number;
  readonly radix: number;
}

/** How paths of some columns become words. */
export interface KeyWords {
  /** Outermost first. */
  readonly columns: readonly CodePlace[];
  /** For each word, one more than the largest it can be. */
  readonly spans: readonly number[];
}

/** Integers below it are float64 exactly. */
const WORD_MAX = 2 ** 53;

/** The words of columns with so many codes each, outermost first. */
export function keyWords(radices: readonly number[]): KeyWords {
  const spans: number[] = [];
  const words: number[] = [];
  for (const radix of radices) {
    const last = spans.length - 1;
    if (last >= 0 && spans[last]! * radix <= WORD_MAX) spans[last]! *= radix;
    else spans.push(radix);
    words.push(spans.length - 1);
  }
  const rest = [...spans];
  const columns = radices.map((radix, c): CodePlace => {
    const word = words[c]!;
    rest[word]! /= Math.max(radix, 1);
    return { word, stride: rest[word]!, radix };
  });
  return { columns, spans };
}

/** The code of a column in the word that holds it. */
export function codeIn({ stride, radix }: CodePlace, word: number): number {
  return Math.floor(word / stride) % radix;
}

/** The outermost column in which two paths differ; the number of columns where they do not. */
export function firstDifference(
  { columns }: KeyWords,
  a: readonly Float64Array[],
  i: number,
  b: readonly Float64Array[],
  j: number,
): number {
  for (let c = 0; c < columns.length; c++) {
    const { word, stride } = columns[c]!;
    // Digits above a column's are those of columns before it, which are equal by now.
    if (Math.floor(a[word]![i]! / stride) !== Math.floor(b[word]![j]! / stride)) return c;
  }
  return columns.length;
}
