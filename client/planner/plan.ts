import type { PeerId } from '../../shared/ids.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan, Source, Stage, Term } from '../../shared/schema/plan.ts';
import { modelGraph, type ModelGraph } from '../model/graph.ts';
import { partitionOf } from '../partition/partition.ts';
import { cutsBy, oneLaneStage, slicingsFor, splitsFor } from '../partition/stages.ts';

export interface Device {
  peer: PeerId;
  layerCosts: { forwardMs: number; backwardMs: number }[];
  taskMs: number;
  memoryBytes: number | null;
  steadiness: number;
}
export interface PlannerLink { a: PeerId; b: PeerId; rttMs: number; loss: number; goodput: number }
export interface PlanRequest {
  term: Term; version: number; run: number; startStep: number; endStep: number;
  config: RunConfig; devices: readonly Device[]; peers: readonly PeerId[]; sources: Source[];
  links: readonly PlannerLink[]; importance: { space: number; scores: number[] }[];
}

function ends(graph: ModelGraph): number[] {
  const found: number[] = [];
  for (let i = 1; i <= graph.nodes.length; i++) {
    const open = graph.nodes.slice(i).some((n) => n.inputs.some((x) => x < i - 1));
    const layerEnd = i === graph.nodes.length || graph.nodes[i].layer !== graph.nodes[i - 1].layer;
    if (!open && layerEnd && graph.nodes.slice(0, i).some((n) => n.kind === 'linear')) found.push(i);
  }
  return found;
}

export function makePlan(request: PlanRequest): Plan {
  const { config, devices } = request;
  const graph = modelGraph(config.model);
  const n = devices.length;
  if (n === 0) throw new Error('No peer takes a block: everybody declined.');
  const cuts = ends(graph).filter((end, i, all) => end === graph.nodes.length || graph.nodes.slice(all[i - 1] ?? 0, end).some((x) => x.kind === 'linear'));
  let S = Math.min(n, cuts.length); let K = 1;
  if (config.grid) { S = config.grid.stages; K = config.grid.lanes; }
  else if (config.partition === 'horizontal') { S = 1; K = n; }
  else if (config.partition !== 'vertical' && n >= 4) { S = 2; K = Math.floor(n / 2); }
  if (S * K > n) throw new Error(`A grid of ${S}x${K} needs ${S * K} peers; here are ${n}.`);
  if (S > cuts.length) throw new Error(`${cuts.length} layers cannot fill ${S} stages.`);
  const sorted = [...devices].sort((a, b) => (a.peer < b.peer ? -1 : 1));
  const stages: Stage[] = [];
  let at = 0;
  for (let s = 0; s < S; s++) {
    const end = cuts[Math.round(((s + 1) * cuts.length) / S) - 1];
    const lanes = sorted.slice(s * K, (s + 1) * K).map((d) => d.peer);
    const range: [number, number] = [at, end];
    if (K === 1) stages.push(oneLaneStage(range, lanes[0]));
    else {
      const linear = graph.nodes.slice(at, end).filter((x) => x.kind === 'linear').map((x) => x.index);
      const isLast = end === graph.nodes.length;
      const splits = splitsFor(graph, range, (node) => (isLast && node === linear.at(-1) && linear.length > 1 ? 'rows' : linear.indexOf(node) % 2 ? 'rows' : isLast && linear.length === 1 ? 'rows' : 'columns'), 'slices');
      stages.push({ nodes: range, splits, lanes, slicings: slicingsFor(graph, range, splits, (sp) => cutsBy(graph.spaces[sp].units, lanes.map(() => 1))), owner: 0, deputy: 1 });
    }
    at = end;
  }
  partitionOf(graph, stages);
  const holding = stages.flatMap((s) => s.lanes);
  const orders = request.importance.filter(({ space }) => !graph.spaces[space].pinned).map(({ space, scores }) => ({ space, units: scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b) }));
  return {
    term: request.term, version: request.version, run: request.run, startStep: request.startStep, endStep: request.endStep,
    stages, orders, sources: request.sources, standby: request.peers.filter((p) => !holding.includes(p)), dataHomes: [...request.peers],
    predicted: { stepMs: 1, stageMs: stages.map(() => 1), memoryBytes: stages.map((s) => s.lanes.map(() => 1)), why: 'stand-in' },
  };
}
