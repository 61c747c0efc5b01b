/**
 * The header of NPY, versions 1 to 3 (numpy.lib.format): a Python dictionary that names type, order and shape. It is untrusted: it must
 * fit the size of what follows before anything is allocated, and messages name the byte. Nothing is evaluated; no objects, no pickles.
 */
import { FourfoldError, show } from "../errors.ts";
import type { Dtype } from "../types.ts";
import { BYTES_OF, dtypeOf, type FileDtype, type Int64Policy, type Items } from "./items.ts";

/** NumPy's own limit (`max_header_size`): a header that is longer is not one. */
const HEADER_BYTES_MAX = 10_000;
/** NumPy's limit on dimensions since 2.0. */
const DIMENSIONS_MAX = 64;

const MAGIC = "\x93NUMPY";
/** The bytes before the header's text: in version 1, and in versions 2 and 3. */
const PREFIX_BYTES = [10, 12] as const;
/** So many bytes hold any header. */
export const NPY_HEAD_BYTES: number = PREFIX_BYTES[1] + HEADER_BYTES_MAX;

const TYPE_OF: Readonly<Record<string, FileDtype>> = {
  f8: "f64",
  f4: "f32",
  f2: "f16",
  i8: "i64",
  i4: "i32",
  i2: "i16",
  i1: "i8",
  u8: "u64",
  u4: "u32",
  u2: "u16",
  u1: "u8",
  b1: "bool",
};
const TYPES = Object.keys(TYPE_OF).join(" ");

/** What an NPY header says. */
export interface NpyHeader {
  readonly shape: readonly number[];
  /** Items in all: the product of the shape. */
  readonly length: number;
  /** The type the values are read as: f32 for float16, i32 for uint16, f64 for uint32, int64 and uint64, u8 for booleans. */
  readonly dtype: Dtype;
  /** The type string of the file, as NumPy writes it. */
  readonly descr: string;
  readonly fortranOrder: boolean;
  /** The byte at which the data start. */
  readonly dataStart: number;
}

function formatError(
  path: string,
  byte: number,
  what: string,
  detail: { given?: unknown; expected?: unknown; fix?: string; code?: "ERR_FOURFOLD_FORMAT" | "ERR_FOURFOLD_DTYPE" } = {},
): FourfoldError {
  const { code = "ERR_FOURFOLD_FORMAT", ...rest } = detail;
  return new FourfoldError(code, `${path}: byte ${byte}: ${what}`, { ...rest, at: { file: path, index: byte } });
}

/** A value of a Python literal: what headers are made of. */
type Literal = string | number | boolean | Literal[];

/** Reads the dictionary of a header, which is a Python literal; nothing is evaluated. */
function parseHeader(text: string, path: string, start: number): Map<string, Literal> {
  const token = /\s*(?:('[^'\\\n]*'|"[^"\\\n]*")|(\d{1,20})L?|(True|False)|([{}()[\],:]))/y;
  let at = 0;
  const fail = (what: string): never => {
    throw formatError(path, start + at, what, { expected: "{'descr': …, 'fortran_order': …, 'shape': …}" });
  };
  const next = (): RegExpExecArray => {
    token.lastIndex = at;
    const match = token.exec(text);
    if (match === null) return fail("the header is not the dictionary that NumPy writes");
    at = token.lastIndex;
    return match;
  };
  const value = (match: RegExpExecArray, depth: number): Literal => {
    const [, quotedText, digits, truth, mark] = match;
    if (quotedText !== undefined) return quotedText.slice(1, -1);
    if (digits !== undefined) return Number(digits);
    if (truth !== undefined) return truth === "True";
    if ((mark !== "(" && mark !== "[") || depth > 4) return fail(`the header has ${show(mark)} where a value should be`);
    const close = mark === "(" ? ")" : "]";
    const items: Literal[] = [];
    for (;;) {
      const item = next();
      if (item[4] === close) return items;
      items.push(value(item, depth + 1));
      const after = next();
      if (after[4] === close) return items;
      if (after[4] !== ",") return fail("a comma is missing in the header");
    }
  };
  const result = new Map<string, Literal>();
  if (next()[4] !== "{") fail("the header is not a dictionary");
  for (;;) {
    const key = next();
    if (key[4] === "}") break;
    if (key[1] === undefined) fail("a key of the header is not a text");
    const name = (key[1] as string).slice(1, -1);
    if (result.has(name)) fail(`the header has the key ${show(name)} twice`);
    if (next()[4] !== ":") fail(`the key ${show(name)} of the header has no value`);
    result.set(name, value(next(), 0));
    const after = next();
    if (after[4] === "}") break;
    if (after[4] !== ",") fail("a comma is missing in the header");
  }
  if (text.slice(at).trim() !== "") fail("text follows the header's dictionary");
  for (const key of result.keys())
    if (!["descr", "fortran_order", "shape"].includes(key)) fail(`the header has the unknown key ${show(key)}`);
  return result;
}

/** The item type of a `descr`. */
function itemType(descr: Literal | undefined, int64: Int64Policy, path: string, start: number): Items {
  const refuse = (what: string, fix: string): never => {
    throw formatError(path, start, what, { code: "ERR_FOURFOLD_DTYPE", given: descr, expected: TYPES, fix });
  };
  if (typeof descr !== "string")
    return refuse("a structured array is not one array of numbers", "Save one field: np.save(path, a['field'])");
  const type = /^[<>|=]/.test(descr) && Object.hasOwn(TYPE_OF, descr.slice(1)) ? TYPE_OF[descr.slice(1)] : undefined;
  if (type === undefined)
    return refuse(
      `items of type ${show(descr)} are not reduced here`,
      `Convert them: a.astype('<f8')${descr.includes("O") ? ", if it holds numbers" : ""}`,
    );
  if (int64 === "reject" && (type === "i64" || type === "u64"))
    return refuse(`items of type ${show(descr)} are refused, as int64: "reject" asks`, `Convert them: a.astype('<f8')`);
  return { type, bigEndian: descr.startsWith(">"), int64 };
}

/**
 * Reads a header. `head` holds the first NPY_HEAD_BYTES, or all if there are fewer; `size` is what there is in all.
 * @throws FourfoldError ERR_FOURFOLD_FORMAT, ERR_FOURFOLD_DTYPE
 */
export function parseNpyHeader(head: Buffer, size: number, path: string, int64: Int64Policy): { header: NpyHeader; items: Items } {
  if (head.length < PREFIX_BYTES[0] || head.toString("latin1", 0, 6) !== MAGIC)
    throw formatError(path, 0, "this is not an NPY file", {
      given: head.toString("latin1", 0, 6),
      expected: MAGIC,
      fix: "Save it with numpy.save",
    });
  const major = head[6] as number;
  if (major < 1 || major > 3 || head[7] !== 0)
    throw formatError(path, 6, `NPY version ${major}.${head[7]} is not known`, { given: major, expected: "1.0, 2.0 or 3.0" });
  const start = PREFIX_BYTES[major === 1 ? 0 : 1];
  if (head.length < start) throw formatError(path, head.length, "the file ends inside its header", { given: size });
  const length = major === 1 ? head.readUInt16LE(8) : head.readUInt32LE(8);
  if (length > HEADER_BYTES_MAX)
    throw formatError(path, 8, `the header claims ${length} bytes, at most ${HEADER_BYTES_MAX} are read`, {
      given: length,
      expected: HEADER_BYTES_MAX,
    });
  const dataStart = start + length;
  if (dataStart > size)
    throw formatError(path, size, `the file ends inside its header, which claims to end at byte ${dataStart}`, {
      given: size,
      expected: dataStart,
    });
  const fields = parseHeader(head.toString(major === 3 ? "utf8" : "latin1", start, dataStart), path, start);
  const descr = fields.get("descr");
  const items = itemType(descr, int64, path, start);
  const fortranOrder = fields.get("fortran_order");
  if (typeof fortranOrder !== "boolean")
    throw formatError(path, start, "the header's fortran_order is not True or False", { given: fortranOrder });
  const shape = fields.get("shape");
  if (!Array.isArray(shape) || shape.length > DIMENSIONS_MAX || !shape.every((extent) => typeof extent === "number"))
    throw formatError(path, start, "the header's shape is not a list of extents", {
      given: shape,
      expected: `up to ${DIMENSIONS_MAX} whole numbers`,
    });
  const count = shape.reduce((product, extent) => product * extent, 1);
  const bytes = count * BYTES_OF[items.type];
  if (!Number.isSafeInteger(bytes) || !shape.every(Number.isSafeInteger) || dataStart + bytes !== size)
    throw formatError(
      path,
      size,
      `shape (${shape.join(", ")}) of ${show(descr)} needs ${bytes} bytes from byte ${dataStart}, the file holds ${size - dataStart}`,
      { given: size - dataStart, expected: bytes, fix: "The file may be truncated: fetch or save it again" },
    );
  return { header: { shape, length: count, dtype: dtypeOf(items.type), descr: String(descr), fortranOrder, dataStart }, items };
}
