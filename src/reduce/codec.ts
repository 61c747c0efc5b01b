/**
 * States as bytes (contract clause 15; docs/state-format.md): header, value, provenance, checksum, signature. One state, one sequence of
 * bytes. Hash functions are parameters: this folder imports none.
 */
import { FourfoldError } from "../errors.ts";
import { CONTRACT_VERSION } from "../types.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import type { Chain } from "./chain.ts";
import { crc32 } from "./crc.ts";
import { type ChainSketch, type Layout, layoutOf, misfit, POLICY_BYTES, type Policy, policyOf, readSketch } from "./layout.ts";
import { OpenNodes } from "./open.ts";
import { Provenance } from "./provenance.ts";

/** The functions that the codec needs from the platform. */
export interface Hashing {
  /** SHA-256. */
  hash(bytes: Uint8Array): Uint8Array;
  /** HMAC-SHA-256 under the caller's key; undefined where the caller has none. */
  readonly sign: ((bytes: Uint8Array) => Uint8Array) | undefined;
  /** Compares in a time that does not tell where two differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
}

/** What decoding may take. */
export interface DecodeLimits {
  readonly bytesMax: number;
  readonly nodesMax: number;
}

/** A state and what it has read. */
export interface Held {
  readonly open: OpenNodes;
  readonly provenance: Provenance;
}

/** A decoded state with all that says what it is a state of. */
export interface Decoded extends Held {
  readonly layout: Layout;
  readonly sketch: ChainSketch;
  readonly policy: Policy;
}

const MAGIC = Uint8Array.from("FFST", (letter) => letter.charCodeAt(0));
const FORMAT_VERSION = 1;
/** A bit of the flags: an HMAC follows the checksum. */
const SIGNED = 1;
/** Where what the digest covers starts: after magic, format version and flags. */
const VALUE_AT = 6;
const HASH_BYTES = 32;
const CRC_BYTES = 4;

/** A state's bytes; with an HMAC where `hashing` can sign. */
export function encodeState({ open, provenance }: Held, layout: Layout, hashing: Hashing): Uint8Array {
  const to = new ByteWriter();
  to.bytes(MAGIC);
  to.byte(FORMAT_VERSION);
  to.byte(hashing.sign ? SIGNED : 0);
  writeValue(to, open, layout, hashing);
  provenance.write(to);
  const crc = crc32(to.finish());
  for (let shift = 0; shift < 32; shift += 8) to.byte((crc >>> shift) & 255);
  if (hashing.sign) to.bytes(hashing.sign(to.finish()));
  return to.finish();
}

/** The hash of a state's value, whatever it has read. */
export function digestState(open: OpenNodes, layout: Layout, hashing: Hashing): Uint8Array {
  const to = new ByteWriter();
  writeValue(to, open, layout, hashing);
  return hashing.hash(to.finish());
}

function writeValue(to: ByteWriter, open: OpenNodes, { chain, weights, policy }: Layout, { hash }: Hashing): void {
  to.text(CONTRACT_VERSION);
  for (const part of [chain, weights, policy]) to.bytes(hash(part));
  to.unsigned(chain.length);
  to.bytes(chain);
  to.bytes(policy);
  open.write(to);
}

/**
 * Reads a state of a chain.
 * @throws FourfoldError ERR_FOURFOLD_STATE for bytes that are damaged, signed by another, of another version or chain, or not in their one form
 */
export function decodeState(bytes: Uint8Array, chain: Chain, limits: DecodeLimits, hashing: Hashing): Decoded {
  if (bytes.length > limits.bytesMax)
    throw refused(`the state has ${bytes.length} bytes, bytesMax is ${limits.bytesMax}`, "Raise bytesMax if you trust where it comes from");
  const from = new ByteReader(checked(bytes, hashing));
  from.bytes(VALUE_AT);
  const contract = from.text();
  if (contract !== CONTRACT_VERSION)
    throw refused(
      `the state keeps version ${JSON.stringify(contract)} of the numeric contract, this package ${CONTRACT_VERSION}`,
      SAME_VERSION,
    );
  const hashes = [from.bytes(HASH_BYTES), from.bytes(HASH_BYTES), from.bytes(HASH_BYTES)] as const;
  const chainPart = from.bytes(from.unsigned());
  const policyPart = from.bytes(POLICY_BYTES);
  const sketch = readSketch(new ByteReader(chainPart));
  const policy = policyOf(policyPart) ?? from.fail("has a policy that is not known");
  for (const [i, part] of [chainPart, undefined, policyPart].entries())
    if (part !== undefined && !hashing.equal(hashing.hash(part), hashes[i]!)) from.fail("has a hash of chain or policy that is not theirs");
  const layout = layoutOf(chain, sketch, policy);
  if (!hashing.equal(hashing.hash(layout.chain), hashes[0])) throw misfit("chain", textOf(layout.chain), sketch.text);
  const weights = hashing.hash(layout.weights);
  if (!hashing.equal(weights, hashes[1])) throw misfit("weights", hex(weights), hex(hashes[1]));
  const open = new OpenNodes(chain, sketch, policy);
  open.read(from, limits.nodesMax);
  const provenance = Provenance.read(from);
  from.end();
  return { open, provenance, layout, sketch, policy };
}

/** The bytes without checksum and signature, once both are right. */
function checked(bytes: Uint8Array, { sign, equal }: Hashing): Uint8Array {
  if (bytes.length < VALUE_AT + CRC_BYTES || MAGIC.some((byte, i) => bytes[i] !== byte))
    throw refused("the bytes are no state: they do not start with FFST", "Give what encode() returned, whole");
  if (bytes[4] !== FORMAT_VERSION)
    throw refused(`the state has format version ${bytes[4]}, this package reads ${FORMAT_VERSION}`, SAME_VERSION);
  const flags = bytes[5]!;
  if (flags > SIGNED) throw refused(`the state has the flags ${flags}, expected 0 or 1`, SAME_VERSION);
  const end = bytes.length - (flags === SIGNED ? HASH_BYTES : 0);
  if (end < VALUE_AT + CRC_BYTES) throw refused("the state ends early", DAMAGED);
  const signed = bytes.subarray(0, end);
  const value = bytes.subarray(0, end - CRC_BYTES);
  const said = new DataView(signed.buffer, signed.byteOffset + value.length).getUint32(0, true);
  const crc = crc32(value);
  if (said !== crc) throw refused(`the state is damaged: its checksum is ${hex32(said)}, its bytes have ${hex32(crc)}`, DAMAGED);
  if (flags === SIGNED && !sign)
    throw refused("the state is signed, and no hmacKey was given", "Give the hmacKey that it was encoded with");
  if (flags !== SIGNED && sign)
    throw refused("the state is not signed, and an hmacKey was given", "Encode it with that hmacKey, or leave the key out");
  if (sign && !equal(sign(signed), bytes.subarray(end)))
    throw refused("the state is signed with another hmacKey, or was changed", WRONG_KEY);
  return value;
}

const SAME_VERSION = "Read it with the version of fourfold that wrote it, or make it again from its source";
const DAMAGED = "Fetch it again, or make it again from its source";
const WRONG_KEY = "Give the hmacKey that it was encoded with; if it was that one, do not use the state";

function refused(problem: string, fix: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_STATE", problem, { fix });
}

/** The chain that bytes say, in words. */
export function textOf(chain: Uint8Array): string {
  return readSketch(new ByteReader(chain)).text;
}

/** Bytes as hex digits. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const hex32 = (n: number): string => n.toString(16).padStart(8, "0");
