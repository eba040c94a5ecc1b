import type { PeerId } from '../../../shared/ids.ts';
import type { ControlOf, Holding } from '../../../shared/schema/control.ts';
import type { Plan, Source } from '../../../shared/schema/plan.ts';
import { parameterCount, type ModelGraph } from '../../model/graph.ts';

/** A peer that is no longer here. */
export interface Departure {
  peer: PeerId;
  name: string;
  /** Silent: no heartbeat came. Unlinked: its link broke. Both may come back; who left has said so. */
  reason: 'silent' | 'unlinked' | 'left';
  /** By this peer's clock. */
  atMs: number;
}

/** What is left of the model after a pause. */
export interface Stock {
  /** Who has state of which layer, older first: later ones count over earlier ones. */
  sources: Source[];
  /** The step to go on with: one beyond the last that any block finished. */
  startStep: number;
  /** Layers of which the newest whole state is older than that, with the steps it has seen. */
  behind: Map<string, number>;
  /** Layers that nobody has whole, with the share (0..1] that starts over. */
  lost: Map<string, number>;
}

export const NOTHING: Stock = { sources: [], startStep: 0, behind: new Map(), lost: new Map() };

type Held = Holding & { from: PeerId };

/**
 * Reads the answers to a pause. A layer is whole where the pieces that one plan made of it are all here; of several such sets the
 * newest counts. A block that had not finished the newest step skips it, so that no step counter goes back.
 */
export function takeStock(
  graph: ModelGraph,
  plan: Plan,
  answers: ReadonlyMap<PeerId, ControlOf<'paused'>>,
): Stock {
  const held: Held[] = [...answers].flatMap(([from, { holds }]) =>
    holds.map((holding) => ({ ...holding, from })),
  );
  held.sort((a, b) => a.stepsDone - b.stepsDone || a.version - b.version || (a.from < b.from ? -1 : 1));
  const startStep = Math.max(plan.startStep, ...held.map(({ stepsDone }) => stepsDone));
  const stock: Stock = {
    sources: held.map(({ layer, from }) => ({ layer, from })),
    startStep,
    behind: new Map(),
    lost: new Map(),
  };
  for (const { layer, numbers } of trainedLayers(graph)) {
    const { stepsDone, share } = newestState(
      held.filter((holding) => holding.layer === layer),
      numbers,
    );
    if (share < 1) stock.lost.set(layer, 1 - share);
    else if (stepsDone < startStep) stock.behind.set(layer, stepsDone);
  }
  return stock;
}

/** The newest state that is whole; where none is, the largest share. A state is as old as the oldest of its pieces. */
function newestState(held: readonly Held[], numbers: number): { stepsDone: number; share: number } {
  let best = { stepsDone: -1, share: 0 };
  for (const version of new Set(held.map((holding) => holding.version))) {
    const pieces = new Map<string, Held>();
    for (const piece of held)
      if (piece.version === version) pieces.set(`${piece.stage}/${piece.lane}`, piece);
    const here = [...pieces.values()];
    const share = Math.min(1, here.reduce((sum, piece) => sum + piece.numbers, 0) / numbers);
    const stepsDone = Math.min(...here.map((piece) => piece.stepsDone));
    if (share > best.share || (share === best.share && stepsDone > best.stepsDone))
      best = { stepsDone, share };
  }
  return best;
}

function trainedLayers(graph: ModelGraph): { layer: string; numbers: number }[] {
  return graph.model.layers
    .map(({ name }) => ({
      layer: name,
      numbers: parameterCount(graph.nodes.filter((node) => node.layer === name)),
    }))
    .filter(({ numbers }) => numbers > 0);
}

const HOW = {
  silent: 'is gone: nothing was heard of it for over 2 s',
  unlinked: 'is gone: the link to it broke',
  left: 'left the room',
};

export const describeDeparture = ({ name, reason }: Departure): string => `${name} ${HOW[reason]}.`;

/** What a person should know about a pause: who left, what is lost, what happens next. */
export function describePause(
  stock: Stock,
  departures: readonly Departure[],
  reason: string,
  asks: boolean,
): string {
  const sentences = departures.map(describeDeparture);
  if (departures.length === 0 && reason) sentences.push(`Training paused. ${reason}`);
  if (stock.lost.size > 0) {
    const parts = [...stock.lost].map(([layer, share]) =>
      share > 0.999 ? layer : `${Math.max(1, Math.round(share * 100))}% of ${layer}`,
    );
    sentences.push(
      `Nobody else held ${parts.join(', ')}: what it had learnt is lost and starts over from its seed.`,
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
