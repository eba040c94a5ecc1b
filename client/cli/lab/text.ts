import type { Report } from '../../../shared/schema/report.ts';
import { figure, grouped, listed, percent } from '../progress.ts';
import type { CutRecord } from './cuts.ts';
import { networkOf } from './hosts.ts';
import { needsRelay, type LabOptions } from './options.ts';

/** What the lab prints, as lines. Pure. */

/** After healing, a pause may still be the cut's doing for so long. */
const AFTERMATH_MS = 10_000;

/** What the lab is like. */
export function labText(options: LabOptions, subnet: number | null): string[] {
  const { swarm, traits, relayOnly } = options;
  const { loss, burst, latencyMs, jitterMs, bitsPerSecond, slow } = traits;
  const places =
    relayOnly || subnet === null
      ? `${swarm.peers} browsers on this machine`
      : `${swarm.peers} hosts on ${networkOf(subnet)}`;
  const effects = [
    loss > 0
      ? `${percent(loss, 1)} of UDP packets lost${burst === null ? '' : `, ${figure(burst)} in a row`}`
      : 'no packets lost',
    ...(bitsPerSecond === null ? [] : [`${figure(bitsPerSecond / 1e6)} Mbit/s each way`]),
    ...(latencyMs > 0
      ? [`${figure(latencyMs)}${jitterMs > 0 ? ` ± ${figure(jitterMs)}` : ''} ms one way`]
      : []),
    ...(slow > 1 ? [`each with 1/${figure(slow)} of this machine's processors`] : []),
  ];
  return [`Lab: ${places}${needsRelay(options) ? ', a relay between them' : ''}; ${effects.join('; ')}.`];
}

export interface Pause {
  ms: number;
  /** The step that was done before. */
  afterStep: number;
}

/** The longest time between two steps that ends after `fromMs` and begins before `toMs`; null where there were not two. */
export function longestPause(steps: Report['steps'], fromMs = -Infinity, toMs = Infinity): Pause | null {
  let longest: Pause | null = null;
  for (let i = 1; i < steps.length; i++) {
    const [before, after] = [steps[i - 1], steps[i]];
    if (after.t_ms <= fromMs || before.t_ms >= toMs) continue;
    const ms = after.t_ms - before.t_ms;
    if (!longest || ms > longest.ms) longest = { ms, afterStep: before.step };
  }
  return longest;
}

/** What the network did to the run. */
export function resultText(
  { steps, final, config }: Report,
  cuts: readonly CutRecord[],
  packets: { sent: number; lost: number },
): string[] {
  const lost = packets.sent > 0 ? ` (${percent(packets.lost / packets.sent, 1)})` : '';
  const rows = [
    ['Packets', `${grouped(packets.sent)} sent, ${grouped(packets.lost)} lost on purpose${lost}`],
  ];
  const pause = longestPause(steps);
  if (pause) rows.push(['Longest pause', `${inSeconds(pause.ms)} after step ${pause.afterStep}`]);
  for (const cut of cuts) rows.push([`Cut of peer ${cut.peer}`, cutText(cut, steps)]);
  if (!final.stopped_early && steps.length < config.steps)
    rows.push(['Steps', `${steps.length} of ${config.steps}`]);
  const width = Math.max(...rows.map(([head]) => head.length));
  return rows.map(([head, text]) => `${head.padEnd(width)}  ${text}`);
}

function cutText(cut: CutRecord, steps: Report['steps']): string {
  const { cutAtStep, cutAtMs, healedAtMs, heardAgainMs } = cut;
  const begin = `at step ${cutAtStep}`;
  if (healedAtMs === null) return `${begin}; the run ended before it was healed`;
  const lastedMs = healedAtMs - cutAtMs;
  const fromMs = steps.findLast(({ step }) => step < cutAtStep)?.t_ms ?? 0;
  const pause = longestPause(steps, fromMs, fromMs + lastedMs + AFTERMATH_MS);
  const again = [...heardAgainMs]
    .sort(([a], [b]) => a - b)
    .map(([other, atMs]) => `by peer ${other} after ${inSeconds(atMs - healedAtMs)}`);
  return [
    `${begin} for ${inSeconds(lastedMs)}`,
    pause
      ? `longest pause of the room ${inSeconds(pause.ms)}, after step ${pause.afterStep}`
      : 'no step was done',
    again.length > 0 ? `once healed, heard again ${listed(again)}` : 'not heard again before the run ended',
  ].join('; ');
}

const inSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
