import type { PlanRequest } from '../../client/planner/plan.ts';
import type { Room } from './rooms.ts';

/** What the coordinator of a room asks. */
export const requestOf = (
  { config, devices, links }: Room,
  more: Partial<PlanRequest> = {},
): PlanRequest => ({
  term: { counter: 1, peer: devices[0].peer },
  version: 1,
  run: 1,
  startStep: 0,
  endStep: config.steps,
  config,
  devices,
  peers: devices.map(({ peer }) => peer),
  sources: [],
  links,
  importance: [],
  ...more,
});
