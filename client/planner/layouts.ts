import type { Split } from '../../shared/schema/plan.ts';
import { tensorOf, widthOf, type Node } from '../model/graph.ts';
import { isLocal, LAYOUTS, type Layout } from '../partition/layout.ts';
import {
  belongsToLoss,
  lossSplit,
  lossSplits,
  settledAs,
  splitOf,
  type Settled,
} from '../partition/stages.ts';
import type { Cut } from './cuts.ts';
import { LAYOUT_BITS, PREFERRED } from './holdings.ts';
import type { Problem } from './profile.ts';

/** Lanes of one stage exchange a tensor. */
export interface Exchange {
  from: Layout;
  to: Layout;
  /** Numbers of a sample. */
  width: number;
  /** True where each lane makes the loss of its own copy, and no gradients come back. */
  isOneWay: boolean;
}

/** A way to lay a run of nodes over the lanes of one stage, whoever they are. */
export interface StageLayout {
  start: number;
  end: number;
  isOneLane: boolean;
  /** How the first tensor is read, and how the last is written. */
  entry: Layout;
  exit: Layout;
  exchangeCount: number;
  /** The rest of it, worked out when it is asked for: most layouts are dismissed before. */
  detail: () => LayoutDetail;
}

export interface LayoutDetail {
  splits: Split[];
  exchanges: Exchange[];
}

/** Everything on one lane. */
export function oneLaneLayout(start: number, end: number): StageLayout {
  const detail = (): LayoutDetail => ({
    splits: Array.from({ length: end - start }, () => 'owner' as const),
    exchanges: [],
  });
  return { start, end, isOneLane: true, entry: 'owner', exit: 'owner', exchangeCount: 0, detail };
}

/** A way so far, as a list from its end. */
interface Way {
  before: Way | null;
  node: Node | null;
  split: Split;
  entry: Layout | null;
  /** Tensors that are still read. */
  live: readonly Live[];
  exchanges: readonly Exchange[];
  exchangeCount: number;
  priceMs: number;
}

/** A tensor that is there, in which layouts (a bit for each), and how the stage goes on with it. */
interface Live {
  tensor: number;
  layouts: number;
  settled: Settled;
}

const NONE: readonly Exchange[] = [];

/**
 * The cheapest ways over several lanes for the nodes from `start` to each cut after it, one for each pair of entry and exit. Each
 * product is cut by columns or by rows; what is between products follows. Walks node by node and keeps, of ways that leave the same
 * tensors in the same layouts, the one whose exchanges cost least on a typical link.
 */
export function severalLaneLayouts(problem: Problem, start: number, cuts: readonly Cut[]): StageLayout[] {
  const { nodes } = problem.graph;
  const found: StageLayout[] = [];
  const lastReads = lastReadsOf(nodes);
  let ways =
    start === 0
      ? [beginning('copies', -1, 'copies')]
      : ENTRIES.map((entry) => beginning(null, start - 1, entry));
  for (let n = start, nextCut = cuts.findIndex(({ at }) => at > start); n < nodes.length; n++) {
    const next: Way[] = [];
    for (const way of ways) {
      for (const split of splitsOf(problem, way, nodes[n])) {
        keepCheapest(next, extend(problem, way, nodes[n], split, lastReads), isAlike);
      }
    }
    ways = next;
    const cut = nextCut < 0 ? undefined : cuts.at(nextCut);
    if (cut?.at === n + 1) nextCut++;
    else if (n + 1 < nodes.length) continue;
    const ends: Way[] = [];
    for (const way of ways) {
      const { writes } = LAYOUTS[way.split];
      if (n + 1 === nodes.length)
        keepCheapest(ends, writes === 'partial' ? summed(problem, way) : way, endsAlike);
      else if (cut!.isAfterProduct ? writes === 'partial' : !isCompletedByAll(way))
        keepCheapest(ends, way, endsAlike);
    }
    found.push(...ends.map((way) => layoutOf(way, start, n + 1)));
  }
  return found;
}

const ENTRIES = ['slices', 'copies'] as const;

const beginning = (entry: 'copies' | null, tensor: number, settled: Settled): Way => ({
  before: null,
  node: null,
  split: 'owner',
  entry,
  live: [{ tensor, layouts: entry ? LAYOUT_BITS[entry] : 0, settled }],
  exchanges: NONE,
  exchangeCount: 0,
  priceMs: 0,
});

function layoutOf(way: Way, start: number, end: number): StageLayout {
  const { entry, exchangeCount, split } = way;
  const exit = LAYOUTS[split].writes;
  const detail = () => detailOf(way, start, end);
  return { start, end, isOneLane: false, entry: entry!, exit, exchangeCount, detail };
}

function detailOf(last: Way, start: number, end: number): LayoutDetail {
  const splits = new Array<Split>(end - start);
  const exchanges: Exchange[] = [];
  for (let way: Way | null = last; way?.node; way = way.before) {
    splits[way.node.index - start] = way.split;
    exchanges.push(...way.exchanges);
  }
  return { splits, exchanges };
}

function splitsOf({ graph }: Problem, { live }: Way, node: Node): readonly Split[] {
  const last = graph.nodes[graph.nodes.length - 1];
  if (node.kind === 'linear') {
    // Logits are sums, so that a missing part is dropout of hidden units and never a wrong score.
    if (node === last) return [lossSplits(graph) ? 'rows' : 'owner'];
    return node.output.space === last.output.space ? ['rows'] : ['columns', 'rows'];
  }
  const from = node.inputs.map((input) => live.find(({ tensor }) => tensor === input)!.settled);
  const atLoss = lossSplit(graph, node);
  if (atLoss) return [atLoss];
  const usual = splitOf(node, from, belongsToLoss(graph, node));
  return usual === 'slices' && isAfterSum(live, node) ? [usual, 'summand'] : [usual];
}

/** True for the bias of a product that is cut by rows and not complete yet: a lane can add it before, and all complete the sums. */
function isAfterSum(live: readonly Live[], { op, inputs }: Node): boolean {
  const known = live.find(({ tensor }) => tensor === inputs[0]);
  return op.kind === 'bias' && known?.layouts === LAYOUT_BITS.partial;
}

/** The same walk as `partitionOf`, which says where exchanges are. */
function extend(problem: Problem, way: Way, node: Node, split: Split, lastReads: Int32Array): Way {
  const { reads, writes } = LAYOUTS[split];
  const live: Live[] = [];
  let { entry, priceMs } = way;
  let exchanges = NONE;
  for (const known of way.live) {
    const { tensor, layouts, settled } = known;
    const isNew = node.inputs.includes(tensor) && !(layouts & LAYOUT_BITS[reads]);
    if (isNew && entry === null) entry = reads;
    else if (isNew && !(layouts & LAYOUT_BITS.copies && isLocal('copies', reads))) {
      const from = PREFERRED.find((layout) => layouts & LAYOUT_BITS[layout])!;
      const width = widthOf(tensorOf(problem.graph, tensor));
      const isOneWay = lossSplit(problem.graph, node) !== null;
      exchanges = [...exchanges, { from, to: reads, width, isOneWay }];
      priceMs += priceOf(problem, width) * (reads === 'copies' ? COPIES_PRICE : 1);
    }
    if (lastReads[tensor + 1] <= node.index) continue;
    live.push(isNew ? { tensor, layouts: layouts | LAYOUT_BITS[reads], settled } : known);
  }
  if (split === 'copies') priceMs += copiesPriceOf(problem, node);
  live.push({ tensor: node.index, layouts: LAYOUT_BITS[writes], settled: settledAs(split) });
  const exchangeCount = way.exchangeCount + exchanges.length;
  return { before: way, node, split, entry, live, exchanges, exchangeCount, priceMs };
}

/** True where every lane has completed sums and done nothing but what follows units since: the stage might as well end before, and send the sums. */
function isCompletedByAll(last: Way): boolean {
  let way: Way | null = last;
  while (way?.split === 'copies' && way.node?.kind === 'unitwise') way = way.before;
  return way?.split === 'summand';
}

/** A way to the model's end, its scores completed by every lane. */
function summed(problem: Problem, way: Way): Way {
  const width = widthOf(tensorOf(problem.graph, problem.graph.nodes.length - 1));
  const exchange: Exchange = { from: 'partial', to: 'copies', width, isOneWay: true };
  const exchanges = [...way.exchanges, exchange];
  return {
    ...way,
    exchanges,
    exchangeCount: way.exchangeCount + 1,
    priceMs: way.priceMs + priceOf(problem, width),
  };
}

/** Where all else is equal, lanes complete their own slices: copies of everything take memory. */
const COPIES_PRICE = 1.01;

/** What each of two lanes computes more where both compute all of a node. */
const copiesPriceOf = ({ workers }: Problem, { index }: Node): number =>
  (0.5 * workers.reduce((sum, { forwardMs, backwardMs }) => sum + forwardMs[index] + backwardMs[index], 0)) /
  workers.length;

/** Of one exchange, there and back, on a typical link: every lane is told what the others have. */
function priceOf({ typical, rows }: Problem, width: number): number {
  return 2 * (typical.latencyMs + typical.taskMs + rows * width * 4 * typical.msPerByte);
}

/** Of ways that are alike for what comes after, the cheapest one stays. */
function keepCheapest(kept: Way[], way: Way, areAlike: (a: Way, b: Way) => boolean): void {
  const at = kept.findIndex((known) => areAlike(known, way));
  if (at < 0) kept.push(way);
  else if (way.priceMs < kept[at].priceMs) kept[at] = way;
}

function isAlike(a: Way, b: Way): boolean {
  if (a.entry !== b.entry) return false;
  return a.live.every((one, i) => {
    const other = b.live[i];
    return one.layouts === other.layouts && one.settled === other.settled;
  });
}

const endsAlike = (a: Way, b: Way): boolean =>
  a.entry === b.entry && LAYOUTS[a.split].writes === LAYOUTS[b.split].writes;

/** Per tensor (from -1, so one further on): the last node that reads it. */
function lastReadsOf(nodes: readonly Node[]): Int32Array {
  const last = new Int32Array(nodes.length + 1).fill(-1);
  for (const { index, inputs } of nodes) for (const input of inputs) last[input + 1] = index;
  return last;
}
