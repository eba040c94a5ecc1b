import type { Phase } from '../../../shared/schema/control.ts';

const OBSTACLES: Readonly<Record<Phase, string>> = {
  idle: 'No run goes on.',
  preparing: 'A plan is being made already: devices are measured and blocks loaded.',
  training: '',
  paused: 'Training is paused: a new plan is made when it goes on.',
  evaluating: 'Training is over: the model is being tested.',
  finished: 'No run goes on.',
  failed: 'No run goes on.',
};

/** Why nobody can ask for a new plan at the moment, for people; empty where they can. */
export const replanObstacle = ({ phase }: { phase: Phase }): string => OBSTACLES[phase];
