import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { cellsOf, configOf, type Cell, type Settings } from './grid.ts';
import { bar, duration, percent } from '../progress.ts';
import type { Terminal } from '../terminal.ts';
import { readTestImages, type TestImages } from './dense-accuracy.ts';
import { summariesOf, type Point } from './outcome.ts';
import { experimentPage } from './page.ts';
import { runCell } from './run-cell.ts';
import type { Store } from './store.ts';
import { sweep, sweepRuns, type Sweep } from './sweep.ts';
import { markdown, sweepText } from './tables.ts';
import type { TrainingRoom } from './training-room.ts';

/** Linking up, being measured and tested, beside the training. */
const AROUND_MS = 16_000;
/** A cell that fails is tried again in a new room so many times. */
const ATTEMPTS = 2;
const SWEEP_RUN_MS = 30_000;

interface Running {
  seconds: number;
  last: Point | null;
}

/** The experiment from what is stored to what is missing: some rooms at a time, each of which takes the next cell when it is free. */
export class Volatility {
  readonly #running = new Map<Cell, Running>();
  #sweep: Sweep = { tried: [], bestMs: 0 };
  #beganMs = Date.now();
  #doneNow = 0;
  #stopped = false;

  /**
   * @param openRoom gives a room that is linked up
   * @param isOurs which of the runs are done here, by their place among all
   */
  constructor(
    private readonly settings: Settings,
    private readonly store: Store,
    private readonly terminal: Terminal,
    private readonly openRoom: () => Promise<TrainingRoom>,
    private readonly isOurs: (run: number) => boolean = () => true,
  ) {}

  async run(): Promise<void> {
    const { settings, store, terminal } = this;
    const cells = cellsOf(settings);
    const done = store.outcomes();
    const left = cells.filter(({ id }, i) => !done.has(id) && this.isOurs(i));
    const before = cells.filter(({ id }) => done.has(id)).length;
    if (before > 0) terminal.line(`${before} of ${cells.length} runs are done already.`);
    if (left.length > 0) {
      const images = await readTestImages();
      terminal.status('Opening a room');
      this.#sweep = await this.#swept();
      terminal.line(sweepText(this.#sweep));
      this.#beganMs = Date.now();
      const queue = [...left];
      const rooms = Array.from({ length: Math.min(settings.rooms, left.length) }, () =>
        this.#work(queue, left.length, images),
      );
      await Promise.all(rooms);
    } else this.#sweep = (store.read('sweep.json') as Sweep | null) ?? this.#sweep;
    terminal.clear();
    this.#write(cells);
  }

  /** Begins no further run. */
  stop(): void {
    this.#stopped = true;
  }

  async #swept(): Promise<Sweep> {
    const { settings, store, terminal } = this;
    const stored = store.read('sweep.json') as Sweep | null;
    if (stored) return stored;
    const runs = sweepRuns(settings);
    const room = new Replaceable(this.openRoom);
    try {
      const found = await sweep(
        () => room.get(),
        settings,
        (run) =>
          terminal.status(
            `Waits of stall are tried: ${bar(run / runs, 20)} ${run + 1} of ${runs}, ` +
              `${duration((runs - run) * (SWEEP_RUN_MS + AROUND_MS))} left`,
          ),
      );
      store.write('sweep.json', JSON.stringify(found, null, 2));
      return found;
    } finally {
      await room.close();
    }
  }

  /** One room's share of the cells. Where one fails, it is tried again in a new room. */
  async #work(queue: Cell[], all: number, images: TestImages): Promise<void> {
    const room = new Replaceable(this.openRoom);
    try {
      for (let cell = queue.shift(); cell && !this.#isStopped(); cell = queue.shift()) {
        for (let attempt = 1; ; attempt++) {
          try {
            await this.#runCell(await room.get(), cell, all, images);
            break;
          } catch (error) {
            await room.close();
            if (this.#isStopped() || attempt === ATTEMPTS) throw error;
            const reason = error instanceof Error ? error.message : String(error);
            this.terminal.line(`${cell.id} is tried again in a new room: ${reason}`);
          }
        }
      }
    } finally {
      await room.close();
    }
  }

  #isStopped(): boolean {
    return this.#stopped;
  }

  async #runCell(room: TrainingRoom, cell: Cell, all: number, images: TestImages): Promise<void> {
    const config = configOf(cell, this.settings, this.#sweep.bestMs);
    try {
      const outcome = await runCell(room, cell, config, this.settings, images, (seconds, last) => {
        this.#running.set(cell, { seconds, last });
        this.terminal.status(this.#progress(all));
      });
      this.store.keep(outcome);
      this.#doneNow++;
      const { secondsToTarget, accuracy, shape, stepsPerSecond, busyProcessors } = outcome;
      const time = secondsToTarget === null ? 'not reached' : `${secondsToTarget.toFixed(0)} s`;
      this.terminal.line(
        `${cell.id} (${shape} lanes): ${time}, ${percent(accuracy, 1)} after ${this.settings.compareSeconds} s, ` +
          `${stepsPerSecond.toFixed(2)} steps/s, ${busyProcessors.toFixed(1)} processors busy`,
      );
    } finally {
      this.#running.delete(cell);
    }
  }

  #progress(all: number): string {
    const { seconds } = this.settings;
    const begun = [...this.#running.values()];
    const halves = begun.reduce((sum, running) => sum + Math.min(1, running.seconds / seconds), 0);
    const share = (this.#doneNow + halves) / all;
    const tookMs = Date.now() - this.#beganMs;
    const each = this.#doneNow > 0 ? tookMs / (this.#doneNow + halves) : this.#worstMs();
    const now = [...this.#running].map(
      ([{ id }, { seconds: at, last }]) =>
        `${id} ${at.toFixed(0)} s${last ? ` ${percent(last.accuracy, 1)}` : ''}`,
    );
    return `${bar(share, 20)} ${this.#doneNow}/${all}  ${duration((1 - share) * all * each)} left  ${now.join('  ')}`;
  }

  /** What a run takes of the whole time, if none reaches the target. */
  #worstMs(): number {
    const { seconds, rooms } = this.settings;
    return (seconds * 1000 + AROUND_MS) / rooms;
  }

  #write(cells: readonly Cell[]): void {
    const { settings, store, terminal } = this;
    const all = store.outcomes();
    const outcomes = cells.flatMap(({ id }) => all.get(id) ?? []);
    const summaries = summariesOf(cells, all);
    const tookMs = this.#doneNow > 0 ? Date.now() - this.#beganMs : 0;
    const text = markdown(summaries, settings, this.#sweep, {
      done: outcomes.length,
      all: cells.length,
      tookMs,
    });
    terminal.lines(['', ...text.split('\n')]);
    const results = JSON.stringify({ settings, sweep: this.#sweep, summaries, outcomes }, null, 1);
    terminal.line(`Table:   ${store.write('table.md', text)}`);
    terminal.line(`Figures: ${store.write('results.json', results)}`);
    const page = experimentPage(outcomes, summaries, settings, this.#sweep, plotting());
    terminal.line(`Page:    ${store.write('page.html', page)}`);
  }
}

/** A room that is opened when it is needed. */
class Replaceable {
  #room: TrainingRoom | null = null;

  constructor(private readonly open: () => Promise<TrainingRoom>) {}

  async get(): Promise<TrainingRoom> {
    this.#room ??= await this.open();
    return this.#room;
  }

  async close(): Promise<void> {
    const room = this.#room;
    this.#room = null;
    await room?.close();
  }
}

function plotting() {
  const dir = join(createRequire(import.meta.url).resolve('uplot/package.json'), '..', 'dist');
  const read = (file: string) => readFileSync(join(dir, file), 'utf8');
  return { script: read('uPlot.iife.min.js'), styles: read('uPlot.min.css') };
}
