import { SwarmRig, type RigOptions } from '../../client/cli/rig.ts';
import { runConfig, type RunChoices } from '../../client/defaults.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import { median } from './result.ts';

/** What a room took for its steps. */
export interface Pace {
  plan: Plan;
  /** The middle one, after the first few. */
  stepMs: number;
  samplesPerSecond: number;
}

export interface PaceOptions {
  rig: RigOptions;
  choices: RunChoices;
  /** Steps that count, after those that do not. */
  steps: number;
}

/** Steps before the room has found its pace. */
const FIRST_STEPS = 3;
const TIMEOUT_MS = 900_000;

/** Trains for some steps in a room of real browsers of its own, and closes it. */
export async function paceOf({ rig: options, choices, steps }: PaceOptions): Promise<Pace> {
  const rig = await SwarmRig.open(options);
  try {
    await rig.whenLinked();
    // Not to its end: the test of the model afterwards takes longer than the steps.
    const config = runConfig({ onDeparture: 'continue', ...choices, steps: 100 * (FIRST_STEPS + steps) });
    await rig.start(config);
    const seen = new Map<number, number>();
    const { run } = await rig.follow(
      ({ run: { last, stepsDone, phase } }) => {
        if (last) seen.set(last.step, last.t_ms);
        return stepsDone >= FIRST_STEPS + steps || phase === 'failed';
      },
      { timeoutMs: TIMEOUT_MS },
    );
    if (run.phase === 'failed' || !run.plan) throw new Error(`The room failed: ${run.message}`);
    const stepMs = median(pacesOf([...seen].filter(([step]) => step >= FIRST_STEPS)));
    return { plan: run.plan, stepMs, samplesPerSecond: (1000 * config.batch) / stepMs };
  } finally {
    await rig.close();
  }
}

/** Milliseconds per step, of (step, time of its end), some of which may not have been seen. */
export const pacesOf = (ends: readonly (readonly [step: number, ms: number])[]): number[] =>
  ends.slice(1).map(([step, ms], i) => (ms - ends[i][1]) / (step - ends[i][0]));

/** `2 stages: 3+1 lanes`. */
export const shapeOf = ({ stages }: Plan): string =>
  `${stages.length === 1 ? '1 stage' : `${stages.length} stages`}: ${stages.map(({ lanes }) => lanes.length).join('+')} lanes`;
