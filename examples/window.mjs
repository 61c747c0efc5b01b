// Windows that do not drift: node examples/window.mjs
import { max, mean, slidingWindow, sum, weightedMean } from "fourfold";

// Trades: a price in cents and a volume. One price in the middle is a typing error.
const price = (i) => (i === 5000 ? 1e17 : (10_000 + ((i * 7919) % 997)) / 100);
const volume = (i) => 1 + ((i * 31) % 50);

const latest = {
  sum: slidingWindow(sum(), { countMax: 100 }),
  mean: slidingWindow(mean(), { countMax: 100 }),
  highest: slidingWindow(max(), { countMax: 100 }),
  // The volume comes with each price: the average price by volume.
  byVolume: slidingWindow(weightedMean("count"), { countMax: 100 }),
};

// The usual way: add what comes, take away what goes.
let running = 0;
for (let i = 0; i < 100_000; i++) {
  for (const window of [latest.sum, latest.mean, latest.highest]) window.push(price(i));
  latest.byVolume.push(price(i), volume(i));
  running += price(i) - (i >= 100 ? price(i - 100) : 0);
}
console.log(`a running sum      ${running}`);
for (const [name, window] of Object.entries(latest)) console.log(`${name.padEnd(18)} ${window.value()}`);

// The same hundred prices, in a window to which nothing else ever came: equal to the last byte.
const fresh = slidingWindow(sum());
for (let i = 99_900; i < 100_000; i++) fresh.push(price(i));
console.log(`from scratch       ${fresh.value()}`);
console.log(`same bytes         ${Buffer.compare(fresh.encode(), latest.sum.encode()) === 0}`);

// Prints:
// a running sum      10466.52999998996
// sum                10494.22
// mean               104.9422
// highest            109.91
// byVolume           104.91027058823529
// from scratch       10494.22
// same bytes         true
