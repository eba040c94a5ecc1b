import { alone, PLAIN, type SoloCase, type SoloTimes } from './solo-page.ts';
import { PROCESSORS } from './pinning.ts';
import { median } from './result.ts';
import { withArms } from './solo.ts';

const MICRO_BATCHES = [1, 2, 4, 8];
/** After a rest the first step is not like the others. */
const FIRST_TURNS = 1;
/** Steps of a small model are over before a processor shows how fast it is: so long at least. */
const LEAST_MS = 3_000;

/** What one device does with the whole model, on each processor: pages that wait, and take some steps whenever that is asked. */
export class Alone {
  /** For each arm (plain tfjs, a room of one with so many micro-batches): milliseconds of a step, on each processor. */
  readonly stepMs: ReadonlyMap<string, number[]>;
  /** The best arm on each processor. */
  readonly #best: readonly string[];
  /** The best room of one. */
  readonly #room: string;

  private constructor(
    private readonly pages: readonly ((turns: number, arms?: string[]) => Promise<SoloTimes>)[],
    times: readonly Map<string, number>[],
  ) {
    const arms = [...times[0].keys()];
    const on = (arm: string) => times.map((each) => each.get(arm)!);
    const fastest = (of: readonly string[], ms: (arm: string) => number) =>
      of.reduce((a, b) => (ms(b) < ms(a) ? b : a));
    this.stepMs = new Map(arms.map((arm) => [arm, on(arm)]));
    this.#best = times.map((each) => fastest(arms, (arm) => each.get(arm)!));
    this.#room = fastest(MICRO_BATCHES.map(alone), (arm) => sum(on(arm)));
  }

  /** Opens a page on each processor, compares all arms there, one processor after the other, and closes them when `use` is done. */
  static async open<T>(
    { script, browser }: { script: string; browser: string | null },
    { model, batch, turns }: Pick<SoloCase, 'model' | 'batch'> & { turns: number },
    use: (alone: Alone) => Promise<T>,
  ): Promise<T> {
    const wish: SoloCase = { model, batch, optimizer: 'sgd', microBatches: MICRO_BATCHES, withPlain: true };
    const pages: Alone['pages'][number][] = [];
    const times: Map<string, number>[] = [];
    const openOn = ([processor, ...others]: readonly number[]): Promise<T> =>
      withArms({ script, browser, processor }, wish, async (take) => {
        pages.push(take);
        times.push(mediansOf(await take(turns)));
        return others.length > 0 ? openOn(others) : use(new Alone(pages, times));
      });
    return openOn(PROCESSORS);
  }

  /** Milliseconds of a step of the best arm as of now, on each processor, one after the other. */
  async now(leastTurns: number): Promise<number[]> {
    const each: number[] = [];
    for (const i of this.pages.keys()) each.push(await this.#stepOf(i, this.#best[i], leastTurns));
    return each;
  }

  /** A room of one on each processor, both at once, which have nothing to do with each other: how many times what one does by itself both together do. */
  async atOnce(leastTurns: number): Promise<number> {
    const step = (i: number) => this.#stepOf(i, this.#room, leastTurns);
    const one: number[] = [];
    for (const i of this.pages.keys()) one.push(await step(i));
    const both = await Promise.all(this.pages.map((_, i) => step(i)));
    return meanMs(one) * sum(both.map((ms) => 1 / ms));
  }

  async #stepOf(page: number, arm: string, leastTurns: number): Promise<number> {
    const turns = Math.max(leastTurns, Math.ceil(LEAST_MS / this.stepMs.get(arm)![page]));
    const times = await this.pages[page](FIRST_TURNS + turns, [arm]);
    return median(times[arm].slice(FIRST_TURNS));
  }
}

/** Milliseconds of a step on a device that is as fast as these are on average: two of them can be twice as fast, however they differ. */
export const meanMs = (each: readonly number[]): number => each.length / sum(each.map((ms) => 1 / ms));

const mediansOf = (times: SoloTimes): Map<string, number> =>
  new Map(Object.entries(times).map(([arm, each]) => [arm, median(each)]));

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** `plain tfjs, EdgePipe with 1, 2 micro-batches`. */
export const ALONE_ARMS = `${PLAIN}, EdgePipe with ${MICRO_BATCHES.join(', ')} micro-batches`;
