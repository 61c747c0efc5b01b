// Schemas that no writer makes: FlatBuffers written by hand.
import { expect, test } from "vitest";
import { NotTable, Table } from "../../src/arrow/flatbuffer.ts";
import { schemaFields } from "../../src/arrow/schema.ts";

/** A schema of structs, `depth` of them one in the other, each with `width` children that are all the same table. */
function shared(width: number, depth: number): Buffer {
  const bytes = Buffer.alloc(64 + (depth + 1) * (16 + 4 + 4 * width));
  bytes.writeUInt32LE(44, 0); // the root
  // The shapes of tables: bytes of the shape, bytes of the table, and where each field stands; 0 for those that are not there.
  const field = 4;
  for (const [i, word] of [16, 16, 0, 0, 4, 8, 0, 12].entries()) bytes.writeUInt16LE(word, field + 2 * i);
  const schema = 20;
  for (const [i, word] of [8, 8, 0, 4].entries()) bytes.writeUInt16LE(word, schema + 2 * i);
  const struct = 28;
  for (const [i, word] of [4, 4].entries()) bytes.writeUInt16LE(word, struct + 2 * i);
  bytes.writeInt32LE(32 - struct, 32); // a struct's type has nothing in it
  bytes.writeInt32LE(44 - schema, 44);
  bytes.writeUInt32LE(64 - 48, 48);
  let at = 64;
  for (let level = 0; level <= depth; level++) {
    const isLast = level === depth;
    const children = isLast ? 0 : width;
    const next = at + 4 + 4 * width;
    bytes.writeUInt32LE(level === depth ? 0 : width, at);
    for (let i = 0; i < children; i++) bytes.writeUInt32LE(next - (at + 4 + 4 * i), at + 4 + 4 * i);
    if (isLast) break;
    bytes.writeInt32LE(next - field, next);
    bytes.writeUInt8(13, next + 4); // a struct
    bytes.writeInt32LE(32 - (next + 8), next + 8);
    bytes.writeUInt32LE(4, next + 12);
    at = next + 16;
  }
  return bytes;
}

test("tables that are shared to describe more fields than there are bytes for are refused at once", () => {
  expect(() => schemaFields(Table.root(shared(50, 12)))).toThrow(NotTable);
  expect(() => schemaFields(Table.root(shared(50, 12)))).toThrow("more fields than it has bytes for");
});

test("a few that are shared are read", () => {
  const fields = schemaFields(Table.root(shared(2, 2)));
  expect(fields.map(({ type, children }) => [type, children.length])).toEqual([
    [{ kind: "other", name: "struct" }, 2],
    [{ kind: "other", name: "struct" }, 2],
  ]);
});
