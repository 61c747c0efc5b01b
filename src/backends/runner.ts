/** A pool worker's numeric side: programs and memories in, walks over parts out. How parts reach it is serve.ts's business. */
import { FourfoldError } from "../errors.ts";
import type { ReductionDefinition, UserReduction } from "../reduce/reductions.ts";
import type { Fitted } from "../reduce/resolve.ts";
import { COUNTERS, instantiateKernels } from "./kernels.ts";
import { LeafReader, walkFile } from "./leaf-files.ts";
import type { Program, Step } from "./program.ts";
import type { Runner } from "./serve.ts";
import { type FindUser, type Ground, Walker, WORD } from "./walk.ts";

/** What every worker starts with. */
export interface RunnerSetup {
  readonly module: WebAssembly.Module;
}

/** A memory that the calling thread made. */
export interface NewHeap {
  readonly heap: number;
  readonly memory: WebAssembly.Memory;
}

/** The runner of the worker in `slot`. */
export function createRunner({ module }: RunnerSetup, slot: number): Runner {
  const grounds: Ground[] = [];
  const walkers = new Map<number, { readonly walker: Walker; readonly scratchBytes: number; readonly file: LeafReader | undefined }>();
  const counted = new Float64Array(COUNTERS);
  return {
    counted,
    message(message) {
      const { heap, memory } = message as NewHeap;
      grounds[heap] = { memory, kernels: instantiateKernels(module, memory) };
    },
    async load(given) {
      const program = given as Program;
      const users = await importUsers(program.steps);
      const ground = grounds[program.heap]!;
      ground.memory.grow(0); // this thread's `memory.buffer` is then as long as the memory, which others have grown
      const findUser: FindUser = (step) => users.get(step.level) ?? notHere(step);
      const { scratchBytes, file } = program;
      walkers.set(program.id, { walker: new Walker(ground, program, findUser), scratchBytes, file: file && new LeafReader(file) });
    },
    unload(id) {
      walkers.delete(id);
    },
    run(id, phase, lo, hi, words) {
      const { walker, scratchBytes, file } = walkers.get(id)!;
      const own = Float64Array.from(words);
      own[WORD.scratch]! += (slot + 1) * scratchBytes; // the calling thread's scratch comes first
      walker.counted.fill(0);
      if (file && phase === 0) walkFile(walker, file, lo, hi, own, words[WORD.data]! + (slot + 1) * file.place.pieceBytes);
      else walker.walk(phase, lo, hi, own);
      for (let i = 0; i < COUNTERS; i++) counted[i]! += walker.counted[i]!;
    },
  };
}

/** User reductions as the calling thread knows them. */
export function findLocal(fitted: Fitted): FindUser {
  return (step) => fitted.levels[step.level]!.reduction.user!;
}

/** Imports the modules of a program's user reductions, by level. A reduction without a module stays on the calling thread. */
async function importUsers(steps: readonly Step[]): Promise<Map<number, ReductionDefinition<unknown>>> {
  const users = new Map<number, ReductionDefinition<unknown>>();
  for (const step of steps) {
    if (step.user?.module === undefined) continue;
    const { name, module } = step.user;
    const exported: Record<string, unknown> = await import(module);
    const found = Object.values(exported).find((value) => (value as Partial<UserReduction> | null)?.reduction?.name === name);
    if (found === undefined)
      throw new FourfoldError("ERR_FOURFOLD_REDUCTION", `level "${step.name}": ${module} does not export reduction "${name}"`, {
        given: Object.keys(exported),
        expected: name,
        fix: "Export what defineReduction returns from the module named by `module`",
        at: { level: step.name, file: module },
      });
    users.set(step.level, (found as UserReduction).reduction.user!);
  }
  return users;
}

function notHere(step: Step): never {
  throw new FourfoldError("ERR_FOURFOLD_REDUCTION", `level "${step.name}": its reduction has no module, so no worker knows it`, {
    at: { level: step.name },
  });
}
