import type { PeerId } from '../../../shared/ids.ts';
import type { ControlOf } from '../../../shared/schema/control.ts';
import type { Plan } from '../../../shared/schema/plan.ts';

/** A peer that is no longer here. */
export interface Departure {
  peer: PeerId;
  name: string;
  /** Silent: no heartbeat came. Unlinked: its link broke. Both may come back; who left has said so. */
  reason: 'silent' | 'unlinked' | 'left';
}

/** What is left of the model after a pause. */
export interface Stock {
  /** Layer -> a peer that holds its newest state. */
  holders: Map<string, PeerId>;
  /** The step to go on with: one beyond the last that any block finished. */
  startStep: number;
  /** Layers whose newest state is older than that, with the steps it has seen. */
  behind: Map<string, number>;
}

export const NOTHING: Stock = { holders: new Map(), startStep: 0, behind: new Map() };

/**
 * Reads the answers to a pause: of each layer the newest state counts. A block that had not finished the newest step skips
 * it, so that no step counter goes back.
 */
export function takeStock(plan: Plan, answers: ReadonlyMap<PeerId, ControlOf<'paused'>>): Stock {
  const newest = new Map<string, { peer: PeerId; stepsDone: number }>();
  for (const [peer, { holds }] of answers) {
    for (const { layer, stepsDone } of holds) {
      const known = newest.get(layer);
      if (!known || known.stepsDone < stepsDone) newest.set(layer, { peer, stepsDone });
    }
  }
  const startStep = Math.max(plan.startStep, ...[...newest.values()].map(({ stepsDone }) => stepsDone));
  const behind = [...newest].filter(([, { stepsDone }]) => stepsDone < startStep);
  return {
    holders: new Map([...newest].map(([layer, { peer }]) => [layer, peer])),
    startStep,
    behind: new Map(behind.map(([layer, { stepsDone }]) => [layer, stepsDone])),
  };
}

/** Layers that nobody holds any more. */
export function lostLayers(plan: Plan, stock: Stock): string[] {
  return plan.stages.flatMap((stage) => stage.layers).filter((layer) => !stock.holders.has(layer));
}

const HOW = {
  silent: 'is gone: nothing was heard of it for over 2 s',
  unlinked: 'is gone: the link to it broke',
  left: 'left the room',
};

export const describeDeparture = ({ name, reason }: Departure): string => `${name} ${HOW[reason]}.`;

/** What a person should know about a pause: who left, what is lost, what happens next. */
export function describePause(
  plan: Plan,
  stock: Stock,
  departures: readonly Departure[],
  reason: string,
  asks: boolean,
): string {
  const sentences = departures.map(describeDeparture);
  if (departures.length === 0 && reason) sentences.push(`Training paused. ${reason}`);
  const lost = lostLayers(plan, stock);
  if (lost.length > 0) {
    sentences.push(
      `Nobody else held ${lost.join(', ')}: what it had learnt is lost and starts over from its seed.`,
    );
  }
  const late = [...stock.behind].filter(([, stepsDone]) => stepsDone === stock.startStep - 1);
  if (late.length > 0)
    sentences.push(`Step ${stock.startStep} is skipped for ${late.map(([layer]) => layer).join(', ')}.`);
  const old = [...stock.behind].filter(([, stepsDone]) => stepsDone < stock.startStep - 1);
  if (old.length > 0) {
    const copies = old.map(([layer, stepsDone]) => `${layer} from step ${stepsDone}`);
    sentences.push(`Only an older copy is left of ${copies.join(', ')}: it goes on from there.`);
  }
  if (asks) sentences.push('Press Go on to train with the rest, or Stop to test what there is.');
  return sentences.join(' ');
}
