// Exact sums without a chain: node examples/exact-sum.mjs
import { exactSum, exactSums } from "fourfold";

// A float64 loop loses what is small beside what is large. An exact sum holds all of it.
const ledger = Float64Array.from({ length: 99_999 }, (_, i) => (i % 3 === 0 ? 1e15 : i % 3 === 1 ? 0.01 : -1e15));
const plain = ledger.reduce((sum, x) => sum + x, 0);
const exact = exactSum();
exact.addAll(ledger);
console.log(`plain ${plain}, exact ${exact.value()}`);

// Cut in any way and merged in any order, it is the same sum, to the last byte.
const parts = [0, 10_007, 50_021, 90_001].map((from, i, cuts) => {
  const part = exactSum();
  part.addAll(ledger.subarray(from, cuts[i + 1]));
  return part;
});
const merged = exactSum();
for (const part of parts.reverse()) merged.merge(part);
console.log(`the same bytes: ${Buffer.compare(merged.encode(), exact.encode()) === 0}, ${exact.encode().length} of them`);

// A window that slides: add what comes, take out what goes. After a million steps it holds what a fresh sum of the window holds.
const readings = Float64Array.from({ length: 1_000_100 }, (_, i) => Math.sin(i) * 10 ** (i % 7));
const window = exactSum();
window.addAll(readings.subarray(0, 100));
for (let i = 100; i < readings.length; i++) {
  window.add(readings[i]);
  window.subtract(readings[i - 100]);
}
const fresh = exactSum();
fresh.addAll(readings.subarray(-100));
console.log(`drift after a million slides: ${window.value() - fresh.value()}`);

// A sum for each of many groups.
const totals = exactSums({ groups: 1000 });
for (let i = 0; i < 100_000; i++) totals.add((i * i) % 1000, i / 10);
console.log(`group 0: ${totals.value(0)} from ${totals.count(0)} terms; ${totals.bytes} bytes for ${totals.groups} groups`);

// Prints:
// plain 0, exact 333.33
// the same bytes: true, 18 of them
// drift after a million slides: 0
// group 0: 4995000 from 1000 terms; 32000 bytes for 1000 groups
