import { widthOf, type ModelGraph } from '../model/graph.ts';

/** More places to cut than this make plans slower to find and hardly better. */
const CUTS_MAX = 32;

/** Where a stage may end: before node `at`. */
export interface Cut {
  at: number;
  /** After a product, and its bias, that is complete only in the sum over lanes; else before the next product, with everything that follows units. */
  isAfterProduct: boolean;
}

/** Places where a stage may end, in order, without the end of the model. Deep models get some of them, spread over the work. */
export function cutsOf(graph: ModelGraph): Cut[] {
  const { nodes } = graph;
  const firstRead = new Array<number>(nodes.length + 1).fill(nodes.length);
  for (let n = nodes.length - 1; n >= 0; n--) firstRead[n] = Math.min(firstRead[n + 1], ...nodes[n].inputs);
  const isProduct = (n: number) => nodes[n].kind === 'linear';
  const isBias = (n: number) => nodes[n].op.kind === 'bias' && isProduct(n - 1);
  const hasProduct = (from: number, to: number) =>
    nodes.slice(from, to).some(({ kind }) => kind === 'linear');
  const cuts: Cut[] = [];
  for (let at = 1; at < nodes.length; at++) {
    // A residual connection that is open here would have to cross the cut by itself.
    if (firstRead[at] < at - 1 || !hasProduct(0, at) || !hasProduct(at, nodes.length)) continue;
    const isBefore = isProduct(at) || nodes[at].op.kind === 'depthwiseConv2d';
    const isSum = isBias(at - 1) || (isProduct(at - 1) && !isBias(at));
    if (isBefore || isSum) cuts.push({ at, isAfterProduct: !isBefore });
  }
  return cuts.length <= CUTS_MAX ? cuts : thinned(graph, cuts);
}

/** Of each run of about equal work, the narrowest cut and the one after its product. */
function thinned(graph: ModelGraph, cuts: readonly Cut[]): Cut[] {
  const workBefore = [0];
  for (const { operations } of graph.nodes) workBefore.push(workBefore[workBefore.length - 1] + operations);
  const all = workBefore[graph.nodes.length];
  const kept: Cut[] = [];
  for (const kind of [false, true]) {
    const narrowest = new Map<number, Cut>();
    for (const cut of cuts.filter(({ isAfterProduct }) => isAfterProduct === kind)) {
      const run = Math.min(Math.floor((workBefore[cut.at] / all) * (CUTS_MAX / 2)), CUTS_MAX / 2 - 1);
      const best = narrowest.get(run);
      const width = ({ at }: Cut) => widthOf(graph.nodes[at - 1].output);
      if (!best || width(cut) < width(best)) narrowest.set(run, cut);
    }
    kept.push(...narrowest.values());
  }
  return kept.sort((a, b) => a.at - b.at);
}
