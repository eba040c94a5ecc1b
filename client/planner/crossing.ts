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
  /** Largest loss of a link on which units have this one source while others could have more; -1 where there is none. */
  fragileLoss: number;
}

/** From the lanes of one stage to those of the next; backward the same way costs the same. */
export function crossing(problem: Problem, before: Crew, exit: Layout, after: Crew, entry: Layout): Crossing {
  const { links, workers } = problem;
  // Numbers of their own until the end: fields that change are boxed.
  let latencyMs = 0;
  let msPerByte = 0;
  let trafficMsPerByte = 0;
  let fragileLoss = -1;
  const senders = exit === 'owner' ? 1 : before.lanes.length;
  const receivers = entry === 'owner' ? 1 : after.lanes.length;
  const sent = before.starts;
  const wanted = after.starts;
  for (let u = 0; u < senders; u++) {
    const row = before.lanes[u] * workers.length;
    const sentStart = exit === 'slices' ? sent[u] : 0;
    const sentEnd = exit === 'slices' ? sent[u + 1] : 1;
    // Copies are all alike, so each receiver gets one.
    const step = exit === 'copies' ? senders : 1;
    for (let v = exit === 'copies' ? u : 0; v < receivers; v += step) {
      let part = sentEnd - sentStart;
      if (entry === 'slices') {
        if (wanted[v] >= sentEnd) break;
        part = Math.min(sentEnd, wanted[v + 1]) - Math.max(sentStart, wanted[v]);
      }
      if (part <= 1e-9) continue;
      const at = row + after.lanes[v];
      const ms = part * links.msPerByte[at];
      latencyMs = Math.max(latencyMs, links.latencyMs[at]);
      msPerByte = Math.max(msPerByte, ms);
      trafficMsPerByte += ms;
      if (exit === 'slices' && entry === 'slices') fragileLoss = Math.max(fragileLoss, links.loss[at]);
    }
  }
  return { latencyMs, msPerByte, trafficMsPerByte, fragileLoss };
}
