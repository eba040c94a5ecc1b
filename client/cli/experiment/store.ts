import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { FlagError } from '../../../shared/flags.ts';
import type { Settings } from './grid.ts';
import type { Outcome } from './outcome.ts';

/** What of an experiment's settings decides what a run gives; how many runs there are may grow. */
export type Essence = Omit<Settings, 'seeds' | 'troubles' | 'ways'>;

export function essenceOf(settings: Settings): Essence {
  const free = ['seeds', 'troubles', 'ways'];
  return Object.fromEntries(
    Object.entries(settings).filter(([key]) => !free.includes(key)),
  ) as unknown as Essence;
}

/** How settings differ from those that earlier results were made with, for people; null where they do not. */
export function differenceOf(earlier: Essence, now: Essence): string | null {
  const keys = Object.keys({ ...earlier, ...now }) as (keyof Essence)[];
  const told = keys
    .filter((key) => JSON.stringify(earlier[key]) !== JSON.stringify(now[key]))
    .map((key) => `${key} ${shown(earlier[key])}, now ${shown(now[key])}`);
  return told.length > 0 ? told.join('; ') : null;
}

const shown = (value: unknown): string => (value === undefined ? 'unknown' : JSON.stringify(value));

/** Results of an experiment in a directory, each stored when its run is over: what was interrupted goes on from there. */
export class Store {
  readonly #dir: string;
  readonly #runs: string;

  /** Throws a FlagError where the directory holds something else, or results of other settings. */
  constructor(dir: string, settings: Settings) {
    this.#dir = resolve(dir);
    this.#runs = join(this.#dir, 'runs');
    const file = join(this.#dir, 'settings.json');
    const earlier = readJson(file) as Essence | null;
    if (!earlier && isOccupied(this.#dir))
      throw new FlagError(`--out ${dir} is not empty and holds no experiment: name another directory.`);
    const difference = earlier && differenceOf(earlier, essenceOf(settings));
    if (difference !== null)
      throw new FlagError(
        `--out ${dir} holds results of other settings (${difference}): name another directory, or the same settings.`,
      );
    try {
      mkdirSync(this.#runs, { recursive: true });
      if (!earlier) this.write('settings.json', JSON.stringify(essenceOf(settings), null, 2));
    } catch (error) {
      throw new FlagError(`--out ${dir} cannot be written: ${String(error)}. Choose another directory.`);
    }
  }

  /** What was stored under that name; null: nothing yet, or nothing whole. */
  read(name: string): unknown {
    return readJson(join(this.#dir, name));
  }

  /** In one step: an interruption leaves the old file or the new one. */
  write(name: string, text: string): string {
    const path = join(this.#dir, name);
    const draft = `${path}.draft`;
    writeFileSync(draft, `${text}\n`);
    renameSync(draft, path);
    return path;
  }

  outcomes(): Map<string, Outcome> {
    const names = readdirSync(this.#runs).filter((name) => name.endsWith('.json'));
    const outcomes = names.flatMap((name) => (readJson(join(this.#runs, name)) as Outcome | null) ?? []);
    return new Map(outcomes.map((outcome) => [outcome.id, outcome]));
  }

  keep(outcome: Outcome): void {
    this.write(join('runs', `${outcome.id}.json`), JSON.stringify(outcome));
  }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

function isOccupied(dir: string): boolean {
  try {
    return !statSync(dir).isDirectory() || readdirSync(dir).length > 0;
  } catch {
    return false;
  }
}
