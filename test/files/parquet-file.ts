// A writer of small Parquet files for tests, from the format's specification: required columns of 64 bits, plain pages of version 1,
// gzip or nothing, checksums or none. It can also lie: what a header says is the caller's to change. DuckDB says that its files are right.
import { gzipSync } from "node:zlib";

/** CRC-32 by its definition, bit by bit. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc | 0;
}

type Field = readonly [id: number, type: number, bytes: Buffer];
const varint = (value: number): Buffer => {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
};
const int = (value: number): Buffer => varint(value < 0 ? -2 * value - 1 : 2 * value);
const i32 = (id: number, value: number): Field => [id, 5, int(value)];
const i64 = (id: number, value: number): Field => [id, 6, int(value)];
const text = (id: number, value: string): Field => [id, 8, Buffer.concat([varint(Buffer.byteLength(value)), Buffer.from(value)])];
const struct = (...fields: readonly Field[]): Buffer => {
  let last = 0;
  const parts = fields.map(([id, type, bytes]) => {
    const head = Buffer.from([((id - last) << 4) | type]);
    last = id;
    return Buffer.concat([head, bytes]);
  });
  return Buffer.concat([...parts, Buffer.from([0])]);
};
const list = (id: number, type: number, items: readonly Buffer[]): Field => [
  id,
  9,
  Buffer.concat([
    items.length < 15 ? Buffer.from([(items.length << 4) | type]) : Buffer.concat([Buffer.from([0xf0 | type]), varint(items.length)]),
    ...items,
  ]),
];

/** What a page's header says. */
export interface PageSays {
  readonly packed: number;
  readonly unpacked: number;
  readonly crc: number | undefined;
  readonly values: number;
}

/** How a file is written. */
export interface Writing {
  readonly crc?: boolean;
  readonly gzip?: boolean;
  readonly rowsPerPage?: number;
  /** Changes what a page's header says. */
  readonly lie?: (page: PageSays, column: string, number: number) => PageSays;
  /** Changes what the metadata say of a column. */
  readonly lieOf?: (
    column: { values: number; bytes: number; offset: number },
    name: string,
  ) => { values: number; bytes: number; offset: number };
}

/** The bytes of a Parquet file, and where the bodies of its pages lie in it. */
export function parquetFile(
  columns: Readonly<Record<string, Float64Array | BigInt64Array>>,
  { crc = true, gzip = false, rowsPerPage = 100, lie = (page) => page, lieOf = (column) => column }: Writing = {},
): { readonly bytes: Buffer; readonly bodies: readonly { readonly at: number; readonly length: number }[] } {
  const parts: Buffer[] = [Buffer.from("PAR1")];
  const bodies: { at: number; length: number }[] = [];
  let at = 4;
  const put = (bytes: Buffer): void => {
    parts.push(bytes);
    at += bytes.length;
  };
  const chunks: Buffer[] = [];
  let rows = 0;
  for (const [name, data] of Object.entries(columns)) {
    rows = data.length;
    const offset = at;
    for (let row = 0; row < rows; row += rowsPerPage) {
      const items = data.subarray(row, row + rowsPerPage);
      const plain = Buffer.from(items.buffer, items.byteOffset, items.byteLength);
      const body = gzip ? gzipSync(plain) : plain;
      const page = { packed: body.length, unpacked: plain.length, crc: crc ? crc32(body) : undefined, values: items.length };
      const says = lie(page, name, row / rowsPerPage);
      put(
        struct(i32(1, 0), i32(2, says.unpacked), i32(3, says.packed), ...(says.crc === undefined ? [] : [i32(4, says.crc)]), [
          5,
          12,
          struct(i32(1, says.values), i32(2, 0), i32(3, 3), i32(4, 3)),
        ]),
      );
      bodies.push({ at, length: body.length });
      put(body);
    }
    const says = lieOf({ values: rows, bytes: at - offset, offset }, name);
    const metadata = struct(
      i32(1, data instanceof Float64Array ? 5 : 2),
      list(2, 5, [int(0)]),
      list(3, 8, [text(1, name)[2]]),
      i32(4, gzip ? 2 : 0),
      i64(5, says.values),
      i64(6, at - offset),
      i64(7, says.bytes),
      i64(9, says.offset),
    );
    chunks.push(struct(i64(2, offset), [3, 12, metadata]));
  }
  const names = Object.keys(columns);
  const schema = [
    struct(text(4, "schema"), i32(5, names.length)),
    ...names.map((name) => struct(i32(1, columns[name] instanceof Float64Array ? 5 : 2), i32(3, 0), text(4, name))),
  ];
  const group = struct(list(1, 12, chunks), i64(2, at - 4), i64(3, rows));
  const footer = struct(i32(1, 1), list(2, 12, schema), i64(3, rows), list(4, 12, [group]));
  const end = Buffer.alloc(8);
  end.writeUInt32LE(footer.length);
  end.write("PAR1", 4, "latin1");
  return { bytes: Buffer.concat([...parts, footer, end]), bodies };
}
