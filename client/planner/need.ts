import { candidates, type Kind } from './candidates.ts';
import { CostModel, type Tail } from './cost-model.ts';
import { laneBytes } from './stage-memory.ts';
import type { Problem } from './profile.ts';

/** A lane that has too little memory for its part of a plan. */
interface Shortage {
  bytes: number;
  layers: string[];
}

/**
 * What to say where no plan has room: how much the leanest plan needs, what there is, and for which piece most is missing. Plans are
 * made as if memory were no matter, and the one that lacks least is told about.
 */
export function memoryMessage(problem: Problem): string {
  const { workers } = problem;
  const free: Problem = {
    ...problem,
    hasBudgets: false,
    workers: workers.map((worker) => ({ ...worker, memoryBytes: Infinity })),
  };
  const model = new CostModel(free);
  const kinds: Kind[] = workers.length === 1 ? ['alone'] : ['horizontal', 'hybrid', 'vertical', 'alone'];
  const plans = kinds
    .flatMap((kind) => candidates(model, kind, null))
    .map((tail) => lackOf(problem, model, tail));
  const leanest = plans.reduce((a, b) => (b.missing < a.missing ? b : a));
  const roomBytes = workers.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  const [worst] = leanest.shortages.sort((a, b) => b.bytes - a.bytes);
  const peers = workers.length === 1 ? '1 peer' : `${workers.length} peers`;
  const [first] = worst.layers;
  const piece = worst.layers.length > 1 ? `${first} to ${worst.layers[worst.layers.length - 1]}` : first;
  const amount =
    leanest.shortages.length === 1
      ? `${mega(leanest.missing)} MB are missing, for ${piece}`
      : `${mega(leanest.missing)} MB are missing, most of them (${mega(worst.bytes)} MB) for ${piece}`;
  return (
    `The model needs ${mega(leanest.needed)} MB of memory and the room has ${mega(roomBytes)} MB on ${peers}: ${amount}. ` +
    'Let more or larger devices join, choose a smaller model, or smaller micro-batches.'
  );
}

function lackOf({ workers, graph, microBatches }: Problem, model: CostModel, tail: Tail) {
  const shortages: Shortage[] = [];
  let needed = 0;
  for (let at: Tail | null = tail; at; at = at.next) {
    const { layout, crew } = at;
    const inFlight = Math.min(microBatches, at.stages + (at.next || layout.exchangeCount > 0 ? 1 : 0));
    const layers = [...new Set(graph.nodes.slice(layout.start, layout.end).map(({ layer }) => layer))];
    crew.lanes.forEach((worker, lane) => {
      const bytes = laneBytes(model.memoryOf(layout), crew, lane, inFlight);
      needed += bytes;
      const lack = bytes - workers[worker].memoryBytes;
      if (lack > 0) shortages.push({ bytes: lack, layers });
    });
  }
  return { needed, shortages, missing: shortages.reduce((sum, { bytes }) => sum + bytes, 0) };
}

const mega = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
