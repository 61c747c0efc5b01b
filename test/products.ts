// The products of assembly/products.ts in plain numbers: the definition that stands in its head, one factor at a time.

/** m·2^e, exactly. */
export interface Scaled {
  readonly m: bigint;
  readonly e: number;
}

/** The real product of m·2^e and a float64. */
export function timesExactly({ m, e }: Scaled, x: number): Scaled {
  const [fraction, exponent] = split(x);
  return { m: m * BigInt(fraction * 2 ** 52), e: e + exponent - 52 };
}

/** x = fraction · 2^exponent, 1 ≤ |fraction| < 2, for finite x that is not 0. */
function split(x: number): [number, number] {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, x);
  const exponent = (bits.getUint16(0) >>> 4) & 0x7ff;
  if (exponent === 0) throw new RangeError(`${x} is no normal number`);
  bits.setUint16(0, (bits.getUint16(0) & 0x800f) | 0x3ff0);
  return [bits.getFloat64(0), exponent - 1023];
}

/** Lanes that factors are multiplied into. */
class Lanes {
  readonly m: number[];
  e = 0;
  s = 1;

  constructor(lanes: number) {
    this.m = new Array<number>(lanes).fill(1);
  }

  times(lane: number, p: number): void {
    if (p === 0 || !Number.isFinite(p)) this.s *= p;
    else {
      const [fraction, exponent] = split(this.m[lane]! * p);
      this.m[lane] = fraction;
      this.e += exponent;
    }
  }
}

/** The product of a row as the row kernel gives it: m·s and e. */
export function laneProduct(x: ArrayLike<number>): [number, number] {
  const lanes = new Lanes(8);
  let i = 0;
  for (; i + 32 <= x.length; i += 32) for (let j = i; j < i + 8; j++) lanes.times(j % 8, x[j]! * x[j + 8]! * x[j + 16]! * x[j + 24]!);
  for (; i + 8 <= x.length; i += 8) for (let j = i; j < i + 8; j++) lanes.times(j % 8, x[j]!);
  for (let j = 0; i + j < x.length; j++) lanes.times(j % 2, x[i + j]!);
  for (let half = 4; half >= 1; half /= 2) for (let j = 0; j < half; j++) lanes.times(j, lanes.m[j + half]!);
  return [lanes.m[0]! * lanes.s, lanes.e];
}

/** The product of a column as the column kernel gives it, whose calls have `rows` rows each: m·s and e. */
export function columnProduct(x: ArrayLike<number>, rows: number): [number, number] {
  const lane = new Lanes(1);
  for (let first = 0; first < x.length; first += rows) {
    const end = Math.min(x.length, first + rows);
    let i = first;
    for (; i + 4 <= end; i += 4) lane.times(0, x[i]! * x[i + 1]! * x[i + 2]! * x[i + 3]!);
    for (; i < end; i++) lane.times(0, x[i]!);
  }
  return [lane.m[0]! * lane.s, lane.e];
}
