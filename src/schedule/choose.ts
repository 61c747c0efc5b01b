/**
 * WHERE the whole of a run goes: to one device, or split over several. Pure: it compares what the cost model predicts. It knows
 * neither how a device runs nor where a batch can be cut.
 */
import { type Cost, costOf, type Device, type Work } from "./cost.ts";

/** The device that keeps the numeric contract and takes everything: the one that others are compared with. */
export const HOME = "wasm";

/** The sizes at which a choice goes one way or the other. */
export interface ChoiceLimits {
  /** Another device, or a split, is taken if it needs at most this part of the time: predictions are not better than this. */
  readonly gainMax: number;
  /** A share below this is left to the others: it would not pay for its own start. */
  readonly shareMin: number;
}

/** The limits choices are made with. */
const CHOICE_LIMITS: ChoiceLimits = { gainMax: 0.9, shareMin: 0.05 };

/** A device that was considered: what it was predicted to take, or why it was refused. */
export type Candidate = { readonly device: string; readonly predictedMs: number } | { readonly device: string; readonly refused: string };

/** What was chosen and why: a plain value. */
export interface Choice {
  /** Device → its share of the work; the shares add up to 1. One entry unless the work is split. */
  readonly shares: Readonly<Record<string, number>>;
  /** Undefined where no device has been measured. */
  readonly predictedMs: number | undefined;
  readonly reason: string;
  readonly candidates: readonly Candidate[];
}

/** What rules some devices out. */
export interface Terms {
  /** Why nothing but {@link HOME} may run this, if so: the accuracy, a user's reduction, a synchronous call. */
  readonly homeOnly: string | undefined;
  /** Why the work cannot be split, if so. */
  readonly whole: string | undefined;
  /** What becomes of shares where whole nodes are dealt. */
  readonly deal: (shares: Readonly<Record<string, number>>) => Readonly<Record<string, number>>;
  /** Devices that are there but out of the question, and why: not measured, lost, software only. */
  readonly refused: Readonly<Record<string, string>>;
}

/** The way that ends first. `devices` are the measured ones, {@link HOME} among them, or none. */
export function choose(work: Work, devices: readonly Device[], terms: Terms, limits: ChoiceLimits = CHOICE_LIMITS): Choice {
  const home = devices.find(({ name }) => name === HOME);
  const others = Object.entries(terms.refused).map(([device, refused]): Candidate => ({ device, refused }));
  if (terms.homeOnly !== undefined || home === undefined) {
    const alone = home === undefined && others.length === 0;
    return {
      shares: { [HOME]: 1 },
      predictedMs: home && total(costOf(work, home)),
      reason: alone ? "SIMD kernels keep the contract in every mode" : (terms.homeOnly ?? "no other device can run it"),
      candidates: alone || terms.homeOnly !== undefined ? [] : others,
    };
  }
  const able: Rated[] = [];
  const candidates: Candidate[] = [];
  for (const device of devices) {
    const bytes = work.leaves * (device.leaves === "f32" ? 4 : work.bytesPerLeaf);
    if (device !== home && bytes > device.memoryBytesMax) {
      candidates.push({ device: device.name, refused: `${bytes} bytes of leaves, it holds ${device.memoryBytesMax}` });
      continue;
    }
    const cost = costOf(work, device);
    able.push({ device, cost });
    candidates.push({ device: device.name, predictedMs: total(cost) });
  }
  candidates.push(...others);
  const atHome = able.find(({ device }) => device === home)!;
  const best = able.reduce((least, rated) => (total(rated.cost) < total(least.cost) ? rated : least), atHome);
  const single = total(best.cost) <= limits.gainMax * total(atHome.cost) ? best : atHome;
  const shared = terms.whole === undefined ? sharing(able, terms.deal, limits) : undefined;
  if (shared && shared.predictedMs <= limits.gainMax * total(single.cost)) {
    const names = Object.keys(shared.shares).join(" and ");
    return {
      ...shared,
      reason: `${names} together end first: ${inMs(shared.predictedMs)} predicted, ${single.device.name} alone ${inMs(total(single.cost))}`,
      candidates,
    };
  }
  const reason =
    single !== atHome
      ? `predicted to end first: ${inMs(total(single.cost))}, ${HOME} ${inMs(total(atHome.cost))}`
      : able.length === 1
        ? "no other device can run it"
        : best === atHome
          ? "predicted to end first"
          : `${best.device.name} is predicted to gain too little to leave the contract`;
  return { shares: { [single.device.name]: 1 }, predictedMs: total(single.cost), reason, candidates };
}

interface Rated {
  readonly device: Device;
  readonly cost: Cost;
}

function total({ fixedMs, shareMs }: Cost): number {
  return fixedMs + shareMs;
}

/** Shares for the best device of each processor, with which all would end at the same moment, as they can be dealt. Undefined for fewer than two. */
function sharing(
  able: readonly Rated[],
  deal: Terms["deal"],
  { shareMin }: ChoiceLimits,
): { shares: Readonly<Record<string, number>>; predictedMs: number } | undefined {
  let team: Rated[] = [];
  for (const rated of able) {
    if (rated.cost.shareMs === 0) return undefined; // next to nothing to share
    const rival = team.findIndex(({ device }) => device.processor === rated.device.processor);
    if (rival < 0) team.push(rated);
    else if (total(rated.cost) < total(team[rival]!.cost)) team[rival] = rated;
  }
  while (team.length > 1) {
    const end = together(team);
    const ideal = Object.fromEntries(team.map(({ device, cost }) => [device.name, (end - cost.fixedMs) / cost.shareMs]));
    const least = Math.min(...Object.values(ideal));
    const shares = least >= shareMin ? deal(ideal) : {};
    const dropped = team.find(({ device }) => (least < shareMin ? ideal[device.name] === least : shares[device.name] === undefined));
    if (dropped === undefined) {
      const ends = team.map(({ device, cost }) => cost.fixedMs + shares[device.name]! * cost.shareMs);
      return { shares, predictedMs: Math.max(...ends) };
    }
    team = team.filter((rated) => rated !== dropped);
  }
  return undefined;
}

/** When all of them end: T with Σ (T − fixed) / share = 1. */
function together(team: readonly Rated[]): number {
  let speed = 0;
  let started = 0;
  for (const { cost } of team) {
    speed += 1 / cost.shareMs;
    started += cost.fixedMs / cost.shareMs;
  }
  return (1 + started) / speed;
}

/** Milliseconds to three digits. */
export function inMs(ms: number): string {
  return `${ms >= 100 ? Math.round(ms) : Number(ms.toPrecision(3))} ms`;
}
