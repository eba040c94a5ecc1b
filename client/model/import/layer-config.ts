import { LIMITS } from '../../../shared/limits.ts';
import type { Activation, Pair } from '../../../shared/model.ts';

const ACTIVATIONS = ['linear', 'relu', 'tanh', 'sigmoid'] as const satisfies Activation[];

/** The options of one layer in a saved model, in Python's spelling or in tfjs's. What does not fit throws a message for people. */
export class LayerConfig {
  readonly #options: Readonly<Record<string, unknown>>;

  constructor(
    readonly layer: string,
    readonly className: string,
    options: unknown,
  ) {
    this.#options = isRecord(options) ? options : {};
  }

  refuse(why: string): never {
    throw new Error(`Layer ${this.layer} (${this.className}): ${why}.`);
  }

  /** The value of an option such as `kernel_size`; undefined where it is left out or null. */
  get(option: string): unknown {
    return this.#options[option] ?? this.#options[camelCase(option)] ?? undefined;
  }

  whole(option: string, fallback?: number): number {
    const value = this.get(option) ?? fallback;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= LIMITS.run.units) {
      return value;
    }
    return this.refuse(
      `${option} must be a whole number from 1 to ${LIMITS.run.units}, not ${shown(value)}`,
    );
  }

  /** A number from 0 to 1. */
  share(option: string, fallback: number): number {
    const value = this.get(option) ?? fallback;
    if (typeof value === 'number' && value >= 0 && value <= 1) return value;
    return this.refuse(`${option} must be a number from 0 to 1, not ${shown(value)}`);
  }

  flag(option: string, fallback: boolean): boolean {
    const value = this.get(option) ?? fallback;
    return typeof value === 'boolean'
      ? value
      : this.refuse(`${option} must be true or false, not ${shown(value)}`);
  }

  /** One number for both directions, or two. */
  pair(option: string, fallback?: number | Pair): Pair {
    const value = this.get(option) ?? fallback;
    const pair = Array.isArray(value) ? (value as unknown[]) : [value, value];
    const isExtent = (n: unknown): n is number =>
      typeof n === 'number' && Number.isSafeInteger(n) && n >= 1 && n <= LIMITS.run.extent;
    const [height, width] = pair;
    if (pair.length === 2 && isExtent(height) && isExtent(width)) return [height, width];
    return this.refuse(
      `${option} must be one or two whole numbers from 1 to ${LIMITS.run.extent}, not ${shown(value)}`,
    );
  }

  padding(): 'same' | 'valid' {
    const value = this.get('padding') ?? 'valid';
    if (value === 'same' || value === 'valid') return value;
    return this.refuse(`padding ${shown(value)} is not supported, only "same" and "valid"`);
  }

  activation(): Activation {
    const value = this.get('activation') ?? 'linear';
    const found = ACTIVATIONS.find((activation) => activation === value);
    const where = value === 'softmax' ? ' here, only at the end of the model' : '';
    return (
      found ??
      this.refuse(`activation ${shown(value)} is not supported${where}; supported: ${ACTIVATIONS.join(', ')}`)
    );
  }

  /** Refuses options that are given and mean something else than `plain`. */
  only(plain: Readonly<Record<string, unknown>>): void {
    for (const [option, wanted] of Object.entries(plain)) {
      const value = this.get(option);
      if (value === undefined || JSON.stringify(value) === JSON.stringify(wanted)) continue;
      const remedy = wanted === null ? 'leave it out' : `only ${shown(wanted)} is`;
      this.refuse(`${option} ${shown(value)} is not supported: ${remedy}`);
    }
  }

  /** Refuses numbers of another type. Keras 3 has a policy in the type's place. */
  float32(): void {
    const value = this.get('dtype') ?? 'float32';
    const type = isRecord(value) && isRecord(value.config) ? value.config.name : value;
    if (type !== 'float32') this.refuse(`dtype ${shown(type)} is not supported: only "float32" is`);
  }

  /** Refuses another order of dimensions than [height, width, channels]. */
  channelsLast(): void {
    const value = this.get('data_format') ?? 'channels_last';
    if (value === 'channels_last' || value === 'channelsLast') return;
    this.refuse(`data_format ${shown(value)} is not supported: only "channels_last" is`);
  }

  /** Refuses another axis than the last of an input that has `rank` dimensions besides the batch. */
  lastAxis(rank: number): void {
    const value = this.get('axis') ?? -1;
    const [axis, ...others] = Array.isArray(value) ? (value as unknown[]) : [value];
    if (others.length === 0 && (axis === -1 || axis === rank)) return;
    this.refuse(`axis ${shown(value)} is not supported: only the last, -1, is`);
  }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value from a file, for a message: short, whatever it is. */
export function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

const camelCase = (option: string): string =>
  option.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
