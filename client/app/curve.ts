import type { StepRecord } from '../swarm/record/record.ts';

/** Columns for the chart: step numbers from 1, loss, accuracy. */
export type Curve = [steps: number[], loss: number[], accuracy: number[]];

/** At most `points` means of neighbouring steps: what fits on a screen, however long the run. */
export function curveOf(steps: readonly StepRecord[], points: number): Curve {
  const width = Math.max(1, Math.ceil(steps.length / points));
  const curve: Curve = [[], [], []];
  for (let start = 0; start < steps.length; start += width) {
    const end = Math.min(start + width, steps.length);
    let loss = 0;
    let accuracy = 0;
    for (let i = start; i < end; i++) {
      loss += steps[i].loss;
      accuracy += steps[i].accuracy;
    }
    curve[0].push(steps[end - 1].step + 1);
    curve[1].push(loss / (end - start));
    curve[2].push(accuracy / (end - start));
  }
  return curve;
}
