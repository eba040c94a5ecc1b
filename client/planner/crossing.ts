import type { Layout } from '../partition/layout.ts';
import type { Crew } from './crew.ts';
import type { Problem } from './profile.ts';

/** What it costs to pass a tensor from one stage to the next, per byte of it. */
export interface Crossing {
  latencyMs: number;
  /** On the slowest link, by what goes over it. */
  msPerByte: number;
  /** On all links together. */
  trafficMsPerByte: number;
  /** Largest loss of a link on which units have this one source while others could have more. */
  fragileLoss: number;
}

/** From the lanes of one stage to those of the next; backward the same way costs the same. */
export function crossing(problem: Problem, before: Crew, exit: Layout, after: Crew, entry: Layout): Crossing {
  const { links, workers } = problem;
  const cost: Crossing = { latencyMs: 0, msPerByte: 0, trafficMsPerByte: 0, fragileLoss: 0 };
  const senders = exit === 'owner' ? 1 : before.lanes.length;
  const receivers = entry === 'owner' ? 1 : after.lanes.length;
  const sent = startsOf(before.shares);
  const wanted = startsOf(after.shares);
  for (let u = 0; u < senders; u++) {
    for (let v = 0; v < receivers; v++) {
      // Copies are all alike, so each receiver gets one.
      if (exit === 'copies' && v % senders !== u) continue;
      const end = Math.min(exit === 'slices' ? sent[u + 1] : 1, entry === 'slices' ? wanted[v + 1] : 1);
      const start = Math.max(exit === 'slices' ? sent[u] : 0, entry === 'slices' ? wanted[v] : 0);
      const part = end - start;
      if (part <= 1e-9) continue;
      const at = before.lanes[u] * workers.length + after.lanes[v];
      cost.latencyMs = Math.max(cost.latencyMs, links.latencyMs[at]);
      cost.msPerByte = Math.max(cost.msPerByte, part * links.msPerByte[at]);
      cost.trafficMsPerByte += part * links.msPerByte[at];
      if (exit === 'slices' && entry === 'slices')
        cost.fragileLoss = Math.max(cost.fragileLoss, links.loss[at]);
    }
  }
  return cost;
}

function startsOf(shares: readonly number[]): number[] {
  const starts = [0];
  for (const share of shares) starts.push(starts[starts.length - 1] + share);
  return starts;
}
