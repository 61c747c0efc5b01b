/**
 * One step of the paths of a live tree: which place a place of the step before and a key lead to. A hash table with linear probing in one
 * typed array: at a million places, a Map with numbers made of both takes four times as long.
 */
import { grown } from "./arrays.ts";

/** Words of a slot: the place before, the key's number, this place. */
const SLOT = 3;

/** Slots at first. A power of two, as always. */
const SLOTS = 16;

/** See the head of this file. Places have numbers; those of removed ones are given again. */
export class LiveSteps {
  readonly #seed: number;
  #slots = new Int32Array(SLOT * SLOTS).fill(-1);
  #mask = SLOTS - 1;
  readonly #free: number[] = [];
  #from = new Int32Array(SLOTS);
  #codes = new Uint32Array(SLOTS);
  /** Places of the next step that start here. */
  #uses = new Int32Array(SLOTS);
  #length = 0;
  #lost = 0;

  /** @param seed changes where places lie in the table, and nothing else: with one that is not known, nobody can choose keys that meet */
  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  /** Numbers given so far. */
  get length(): number {
    return this.#length;
  }

  /** Places there are. */
  get places(): number {
    return this.#length - this.#free.length - this.#lost;
  }

  get bytes(): number {
    return this.#slots.byteLength + this.#from.byteLength + this.#codes.byteLength + this.#uses.byteLength + 8 * this.#free.length;
  }

  /** Makes room for so many places, so that none of them has to move when it comes. */
  reserve(places: number): void {
    if (2 * places <= this.#mask) return;
    let mask = this.#mask;
    while (2 * places > mask) mask = 2 * mask + 1;
    const old = this.#slots;
    this.#mask = mask;
    this.#slots = new Int32Array(SLOT * (mask + 1)).fill(-1);
    for (let at = 0; at < old.length; at += SLOT) if (old[at + 2]! >= 0) this.#put(old[at]!, old[at + 1]!, old[at + 2]!);
    this.#from = grown(this.#from, places);
    this.#codes = grown(this.#codes, places);
    this.#uses = grown(this.#uses, places);
  }

  /** The place that `code` leads to from place `from` of the step before, or −1. */
  find(from: number, code: number): number {
    const slots = this.#slots;
    for (let slot = this.#hash(from, code); ; slot = (slot + 1) & this.#mask) {
      const at = SLOT * slot;
      const place = slots[at + 2]!;
      if (place < 0 || (slots[at] === from && slots[at + 1] === code)) return place;
    }
  }

  /** Makes a place that there is not yet. */
  add(from: number, code: number): number {
    // At most half of the slots are taken, so that probes stay short.
    this.reserve(this.places + 1);
    const place = this.#free.pop() ?? this.#length++;
    this.#from = grown(this.#from, this.#length);
    this.#codes = grown(this.#codes, this.#length);
    this.#uses = grown(this.#uses, this.#length);
    this.#from[place] = from;
    this.#codes[place] = code;
    this.#uses[place] = 0;
    this.#put(from, code, place);
    return place;
  }

  /** Takes a place away. Unless `reuse`, its number is not given again. */
  remove(place: number, reuse: boolean): void {
    const slots = this.#slots;
    let slot = this.#hash(this.#from[place]!, this.#codes[place]!);
    while (slots[SLOT * slot + 2] !== place) slot = (slot + 1) & this.#mask;
    // What a probe would have passed over this slot to reach moves up (Knuth, TAOCP 3, 6.4, algorithm R).
    for (let next = slot; ; ) {
      slots[SLOT * slot + 2] = -1;
      let at: number;
      let home: number;
      do {
        next = (next + 1) & this.#mask;
        at = SLOT * next;
        if (slots[at + 2]! < 0) {
          this.#from[place] = -1;
          if (reuse) this.#free.push(place);
          else this.#lost++;
          return;
        }
        home = this.#hash(slots[at]!, slots[at + 1]!);
      } while (slot <= next ? slot < home && home <= next : slot < home || home <= next);
      slots.copyWithin(SLOT * slot, at, at + SLOT);
      slot = next;
    }
  }

  /** The place of the step before that a place starts at; −1 if the place was removed. */
  from(place: number): number {
    return this.#from[place]!;
  }

  code(place: number): number {
    return this.#codes[place]!;
  }

  /** Changes how many places of the next step start at a place; gives how many do now. */
  use(place: number, change: 1 | -1): number {
    this.#uses[place]! += change;
    return this.#uses[place]!;
  }

  uses(place: number): number {
    return this.#uses[place]!;
  }

  #hash(from: number, code: number): number {
    // Multiplied and folded twice, so that each input bit reaches the bits that the mask keeps.
    let h = Math.imul(from ^ this.#seed, 0x9e3779b1) + Math.imul(code, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35);
    return (h ^ (h >>> 16)) & this.#mask;
  }

  #put(from: number, code: number, place: number): void {
    const slots = this.#slots;
    let slot = this.#hash(from, code);
    while (slots[SLOT * slot + 2]! >= 0) slot = (slot + 1) & this.#mask;
    slots[SLOT * slot] = from;
    slots[SLOT * slot + 1] = code;
    slots[SLOT * slot + 2] = place;
  }
}
