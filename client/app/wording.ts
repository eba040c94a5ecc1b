import type { RunView } from '../swarm/record/snapshot.ts';

const numbers = new Intl.NumberFormat('en');

export const count = (value: number): string => numbers.format(value);

/** A share 0..1 as a percentage. */
export const percent = (share: number, digits = 0): string => `${(100 * share).toFixed(digits)}%`;

/** A size in decimal units, such as `3.1 MB`. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  return `${(value / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/** A time ahead, roughly, such as `2 min 10 s`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** A moment of the run, such as `1:05`. */
export function moment(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

export function roundTrip(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

/** What the run is doing, in a sentence that changes only when something happens (it is read aloud). */
export function headline({ phase, message, config, final, stepsDone }: RunView): string {
  switch (phase) {
    case 'idle':
      return 'No run yet.';
    case 'preparing':
      return message ? `Preparing: ${message}.` : 'Preparing.';
    case 'training':
      return config ? `Training for ${count(config.steps)} steps.` : 'Training.';
    case 'paused':
      return `Paused. ${message}`;
    case 'evaluating':
      return 'Testing the model on samples that it has not seen.';
    case 'failed':
      return `The run failed. ${message}`;
    case 'finished':
      if (!final) return 'Finished.';
      return `${final.stoppedEarly ? `Stopped after ${count(stepsDone)} steps.` : 'Finished.'} ${testResult(final)}`;
  }
}

function testResult({ metrics }: NonNullable<RunView['final']>): string {
  const { correct, samples } = metrics;
  return `${percent(correct / samples, 2)} of ${count(samples)} test samples are right.`;
}
