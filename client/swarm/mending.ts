import type { PeerId } from '../../shared/ids.ts';
import type { ControlOf } from '../../shared/schema/control.ts';
import type { Plan } from '../../shared/schema/plan.ts';

/** A peer that is no longer here. */
export interface Departure {
  peer: PeerId;
  name: string;
  reason: 'silent' | 'left';
}

export const describeDeparture = ({ name, reason }: Departure): string =>
  `${name} ${reason === 'left' ? 'left the room' : 'is gone: nothing was heard of it for over 2 s'}.`;

/** What is left of the model after a pause. */
export interface Stock {
  /** Layer -> a peer that holds its state. */
  holders: Map<string, PeerId>;
  /** The step to go on with: one beyond the last that any block finished. */
  startStep: number;
  /** Layers whose holder had not finished the last step that others had: their update is skipped. */
  behind: string[];
}

/** Reads the answers to a pause. A block that had not finished the newest step skips it, so that no step counter goes back. */
export function takeStock(plan: Plan, answers: ReadonlyMap<PeerId, ControlOf<'paused'>>): Stock {
  const startStep = Math.max(plan.startStep, ...[...answers.values()].map((paused) => paused.stepsDone));
  const holders = new Map<string, PeerId>();
  const behind: string[] = [];
  for (const [peer, paused] of answers) {
    for (const layer of paused.holds) {
      holders.set(layer, peer);
      if (paused.stepsDone < startStep) behind.push(layer);
    }
  }
  return { holders, startStep, behind };
}

/** Layers that nobody holds any more. */
export function lostLayers(plan: Plan, stock: Stock): string[] {
  return plan.stages.flatMap((stage) => stage.layers).filter((layer) => !stock.holders.has(layer));
}

/** What a person should know about a pause: who left, what is lost, what happens next. */
export function describePause(
  plan: Plan,
  stock: Stock,
  departures: readonly Departure[],
  reason: string,
  asks: boolean,
): string {
  const sentences = departures.map(describeDeparture);
  if (departures.length === 0 && reason) sentences.push(`Training paused: ${reason}.`);
  const lost = lostLayers(plan, stock);
  if (lost.length > 0) {
    sentences.push(
      `Nobody else held ${lost.join(', ')}: what it had learnt is lost and starts over from its seed.`,
    );
  }
  if (stock.behind.length > 0)
    sentences.push(`Step ${stock.startStep - 1} is skipped for ${stock.behind.join(', ')}.`);
  if (asks) sentences.push('Press Go on to train with the rest, or Stop to test what there is.');
  return sentences.join(' ');
}
