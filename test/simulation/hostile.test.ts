import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encode } from '@msgpack/msgpack';
import { encodeControl } from '../../client/swarm/mail/wire.ts';
import { planTag } from '../../client/pipeline/assignment.ts';
import { encodeFrame, encodePart, type PartFrame } from '../../shared/frames.ts';
import type { WireFormat } from '../../shared/wire.ts';
import { LIMITS } from '../../shared/limits.ts';
import { PART_HEADER_BYTES } from '../../shared/packets.ts';
import type { Control } from '../../shared/schema/control.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import { SimRoom, tinyConfig, type SimPeer } from './sim-room.ts';

/** What the cases need to know of the room they attack. */
interface Scene {
  plan: Plan;
  /** Holds stage 1 of 4 and is not the coordinator. */
  victim: SimPeer;
  /** Its neighbours in the pipeline and a peer that is none. */
  before: string;
  after: string;
  stranger: string;
  coordinator: string;
  step: number;
}

interface Case {
  name: string;
  reason: string;
  from?: (scene: Scene) => string;
  control?: (scene: Scene) => Uint8Array;
  data?: (scene: Scene) => Uint8Array;
  /** How the run's numbers travel; float32 where left out. */
  wire?: WireFormat;
}

const ROWS = 8;
const WIDTH = 16;

function partOf(scene: Scene): PartFrame {
  const { plan } = scene;
  return {
    kind: 'forward',
    term: plan.term.counter,
    version: plan.version,
    planTag: planTag(plan),
    step: scene.step + 1,
    micro: 0,
    boundary: 0,
    lane: 0,
    rows: ROWS,
    columns: WIDTH,
    offset: 0,
    count: ROWS * WIDTH,
    format: 'float32',
    payload: new Uint8Array(ROWS * WIDTH * 4),
  };
}

const streamOf = ({ step }: Scene) => ({
  kind: 'forward' as const,
  boundary: 0,
  lane: 0,
  step,
  micro: 0,
  fewer: [],
});

const partBytes = (scene: Scene, changes: Partial<PartFrame> = {}): Uint8Array =>
  encodeFrame({ ...partOf(scene), ...changes });
const encodedPart = (scene: Scene, format: WireFormat, numbers: Float32Array): Uint8Array =>
  encodePart({ ...partOf(scene), format }, numbers);
const withLast = (value: number): Float32Array => new Float32Array(ROWS * WIDTH).fill(value, -1);

const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
const raw = (message: unknown): Uint8Array => encode(message);
const key = ({ plan }: Scene) => ({ term: plan.term, version: plan.version });
const metrics = { lossSum: 1, correct: 1, samples: 32 };
const patched = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
  bytes[at] = value;
  return bytes;
};

const heartbeat = { type: 'heartbeat', count: 1, sentAtMs: 1, echo: null, term: null, row: [] };
const message = (make: (scene: Scene) => Control) => (scene: Scene) => encodeControl(make(scene));

const CASES: Case[] = [
  // Frames
  { name: 'an empty frame', reason: 'frame-malformed', data: () => new Uint8Array() },
  { name: 'noise', reason: 'frame-malformed', data: () => new Uint8Array(100).fill(7) },
  { name: 'a truncated part', reason: 'frame-malformed', data: (s) => partBytes(s).subarray(0, 30) },
  {
    name: 'an oversized frame',
    reason: 'frame-malformed',
    data: () => new Uint8Array(LIMITS.link.frameBytes + 1),
  },
  { name: 'an unknown version', reason: 'frame-malformed', data: (s) => patched(partBytes(s), 1, 99) },
  { name: 'an unknown kind', reason: 'frame-malformed', data: (s) => patched(partBytes(s), 2, 99) },
  {
    name: 'a payload that is not whole numbers',
    reason: 'frame-malformed',
    data: (s) => partBytes(s).subarray(0, PART_HEADER_BYTES + 3),
  },
  { name: 'a part of no rows', reason: 'frame-malformed', data: (s) => partBytes(s, { rows: 0 }) },
  {
    name: 'a part that claims gigabytes',
    reason: 'frame-malformed',
    data: (s) => partBytes(s, { rows: 0xffffffff }),
  },
  {
    name: 'numbers beyond the end of the part',
    reason: 'frame-malformed',
    data: (s) => partBytes(s, { offset: 100 }),
  },
  {
    name: 'a part of more packets than it has',
    reason: 'frame-malformed',
    data: (s) => partBytes(s, { sent: 2 }),
  },
  { name: 'a part of another plan', reason: 'part-other-plan', data: (s) => partBytes(s, { version: 77 }) },
  {
    name: "a part of another coordinator's plan",
    reason: 'part-other-plan',
    data: (s) => partBytes(s, { planTag: 1 }),
  },
  {
    name: 'a part from a peer that is no neighbour',
    reason: 'part-wrong-sender',
    from: (s) => s.stranger,
    data: partBytes,
  },
  {
    name: 'a forward part from the stage after',
    reason: 'part-wrong-sender',
    from: (s) => s.after,
    data: partBytes,
  },
  {
    name: 'a part that is passed on for another, where no detours are taken',
    reason: 'part-wrong-sender',
    from: (s) => s.stranger,
    data: (s) => partBytes(s, { toLane: 0 }),
  },
  {
    name: 'a part of another boundary',
    reason: 'part-wrong-boundary',
    data: (s) => partBytes(s, { boundary: 2 }),
  },
  {
    name: 'a part of a lane that does not exist',
    reason: 'part-wrong-sender',
    data: (s) => partBytes(s, { lane: 3 }),
  },
  { name: 'a part of a step long past', reason: 'part-wrong-step', data: (s) => partBytes(s, { step: 0 }) },
  {
    name: 'a part of a step far ahead',
    reason: 'part-wrong-step',
    data: (s) => partBytes(s, { step: 5000 }),
  },
  {
    name: 'a micro-batch that does not exist',
    reason: 'part-wrong-micro',
    data: (s) => partBytes(s, { micro: 4 }),
  },
  {
    name: 'too few rows',
    reason: 'part-wrong-shape',
    data: (s) => partBytes(s, { rows: 4, count: 4 * WIDTH, payload: new Uint8Array(4 * WIDTH * 4) }),
  },
  {
    name: 'too many columns',
    reason: 'part-wrong-shape',
    data: (s) => partBytes(s, { columns: 17, count: ROWS * 17, payload: new Uint8Array(ROWS * 17 * 4) }),
  },
  {
    name: 'half a frame',
    reason: 'part-wrong-frame',
    data: (s) => partBytes(s, { count: 2, payload: floats(1, 2) }),
  },
  {
    name: 'fewer numbers than a frame says',
    reason: 'frame-malformed',
    data: (s) => partBytes(s, { payload: floats(1, 2) }),
  },
  {
    name: 'a frame of no numbers',
    reason: 'frame-malformed',
    data: (s) => partBytes(s, { count: 0, payload: new Uint8Array() }),
  },
  { name: 'an unknown wire format', reason: 'frame-malformed', data: (s) => patched(partBytes(s), 36, 3) },
  {
    name: "a format that is not the run's",
    reason: 'part-wrong-format',
    data: (s) => encodedPart(s, 'int8', new Float32Array(ROWS * WIDTH)),
  },
  {
    name: 'a part without its scales',
    reason: 'frame-malformed',
    data: (s) => partBytes(s, { format: 'int8', payload: new Uint8Array(ROWS * WIDTH) }),
  },
  ...[NaN, Infinity, -1, 3e38].map((scale): Case => ({
    name: `a scale of ${scale}`,
    reason: 'part-not-finite',
    wire: 'int8',
    data: (s) => {
      const bytes = encodedPart(s, 'int8', new Float32Array(ROWS * WIDTH).fill(1));
      new DataView(bytes.buffer).setFloat32(PART_HEADER_BYTES, scale, true);
      return bytes;
    },
  })),
  {
    name: 'NaN in a part of int8',
    reason: 'part-not-finite',
    wire: 'int8',
    data: (s) => encodedPart(s, 'int8', withLast(NaN)),
  },
  {
    name: 'infinity in a part of float16',
    reason: 'part-not-finite',
    wire: 'float16',
    data: (s) => encodedPart(s, 'float16', withLast(Infinity)),
  },
  {
    name: 'NaN in a part',
    reason: 'part-not-finite',
    data: (s) => partBytes(s, { payload: floats(...Array<number>(127).fill(0), NaN) }),
  },
  {
    name: 'infinity in a part',
    reason: 'part-not-finite',
    data: (s) => partBytes(s, { payload: floats(...Array<number>(127).fill(0), Infinity) }),
  },
  {
    name: 'a blob that nobody asked for',
    reason: 'blob-not-asked-for',
    data: () => encodeFrame({ kind: 'blob', id: 9999, offset: 0, total: 4, payload: floats(1) }),
  },
  {
    name: 'a blob of gigabytes',
    reason: 'frame-malformed',
    data: () => encodeFrame({ kind: 'blob', id: 1, offset: 0, total: 0xffffffff, payload: floats(1) }),
  },
  // Notices about parts
  {
    name: 'a notice of parts from a peer that is no neighbour',
    reason: 'part-wrong-sender',
    from: (s) => s.stranger,
    control: message((s) => ({ type: 'parts', ...key(s), streams: [streamOf(s)] })),
  },
  {
    name: 'a notice of parts of another boundary',
    reason: 'part-wrong-boundary',
    control: message((s) => ({ type: 'parts', ...key(s), streams: [{ ...streamOf(s), boundary: 2 }] })),
  },
  {
    name: 'a notice of a micro-batch that does not exist',
    reason: 'part-wrong-micro',
    control: message((s) => ({
      type: 'parts',
      ...key(s),
      streams: [{ ...streamOf(s), fewer: [{ step: 0, micro: 4, packets: 0 }] }],
    })),
  },
  {
    name: 'a notice of parts of another plan',
    reason: 'part-other-plan',
    control: message((s) => ({ type: 'parts', ...key(s), version: 77, streams: [] })),
  },
  {
    name: 'a notice without end',
    reason: 'control-schema',
    control: (s) =>
      raw({
        type: 'parts',
        ...key(s),
        streams: Array.from({ length: LIMITS.pipeline.noticeStreams + 1 }, () => streamOf(s)),
      }),
  },
  {
    name: 'a wish for parts of somebody else',
    reason: 'part-wrong-boundary',
    from: (s) => s.stranger,
    control: message((s) => ({
      type: 'resend',
      ...key(s),
      kind: 'backward',
      boundary: 0,
      step: s.step,
      micro: 0,
      packets: [],
      attempt: 1,
    })),
  },
  // Control messages
  {
    name: 'bytes that are no message',
    reason: 'control-undecodable',
    control: () => Uint8Array.of(0xc1, 0xff, 0x00),
  },
  {
    name: 'an oversized message',
    reason: 'control-oversized',
    control: () => new Uint8Array(LIMITS.link.controlMessageBytes + 1),
  },
  {
    name: 'a truncated message',
    reason: 'control-undecodable',
    control: () => raw(heartbeat).subarray(0, 12),
  },
  { name: 'an unknown type', reason: 'control-schema', control: () => raw({ type: 'obey' }) },
  { name: 'a number where a message is due', reason: 'control-schema', control: () => raw(42) },
  { name: 'a field too many', reason: 'control-schema', control: () => raw({ ...heartbeat, admin: true }) },
  { name: 'a field missing', reason: 'control-schema', control: () => raw({ type: 'heartbeat', count: 1 }) },
  {
    name: 'NaN in a link table',
    reason: 'control-schema',
    control: () => raw({ ...heartbeat, row: [{ peer: 'p000000001', rttMs: NaN, loss: 0, goodput: 1 }] }),
  },
  {
    name: 'a loss above one',
    reason: 'control-schema',
    control: () => raw({ ...heartbeat, row: [{ peer: 'p000000001', rttMs: 1, loss: 2, goodput: 1 }] }),
  },
  {
    name: 'a peer id with markup',
    reason: 'control-schema',
    control: () => raw({ type: 'claim', term: { counter: 9, peer: '<script>x' }, centrality: 1 }),
  },
  {
    name: 'a hello of another version',
    reason: 'wrong-version',
    control: () =>
      raw({
        type: 'hello',
        protocol: 99,
        name: 'x',
        device: {
          backend: 'cpu',
          where: 'page',
          note: '',
          grain: 1,
          onProcessor: true,
          emulatedMs: null,
          memoryBytes: null,
          browser: 'x',
        },
        term: null,
      }),
  },
  {
    name: 'a claim for somebody else',
    reason: 'claim-for-another',
    from: (s) => s.stranger,
    control: message((s) => ({ type: 'claim', term: { counter: 50, peer: s.after }, centrality: 1 })),
  },
  {
    name: 'a pause from a peer that does not coordinate',
    reason: 'not-the-coordinator',
    from: (s) => s.stranger,
    control: message((s) => ({ type: 'pause', ...key(s) })),
  },
  {
    name: 'a commit from a peer that does not coordinate',
    reason: 'not-the-coordinator',
    from: (s) => s.stranger,
    control: message((s) => ({ type: 'commit', ...key(s) })),
  },
  {
    name: 'a plan from a peer that does not coordinate',
    reason: 'not-the-coordinator',
    from: (s) => s.stranger,
    control: message((s) => ({ type: 'prepare', plan: s.plan, config: tinyConfig() })),
  },
  {
    name: 'a plan of another term',
    reason: 'plan-of-another-term',
    from: (s) => s.coordinator,
    control: message((s) => ({
      type: 'prepare',
      plan: { ...s.plan, term: { ...s.plan.term, counter: 99 } },
      config: tinyConfig(),
    })),
  },
  {
    name: 'a plan with a split that is none',
    reason: 'control-schema',
    from: (s) => s.coordinator,
    control: (s) =>
      raw({
        type: 'prepare',
        plan: {
          ...s.plan,
          stages: [{ ...s.plan.stages[0], splits: ['diagonal'] }],
        },
        config: tinyConfig(),
      }),
  },
  {
    name: 'a run with a learning rate of NaN',
    reason: 'control-schema',
    control: () =>
      raw({
        type: 'start',
        wish: 1,
        config: { ...tinyConfig(), optimizer: { kind: 'sgd', learningRate: NaN, decay: 'constant' } },
      }),
  },
  {
    name: 'a run whose batch does not divide',
    reason: 'control-schema',
    control: () => raw({ type: 'start', wish: 1, config: { ...tinyConfig(), batch: 33 } }),
  },
  {
    name: 'a step from a peer that is not the head',
    reason: 'step-not-from-a-head',
    from: (s) => s.before,
    control: message((s) => ({ type: 'step', ...key(s), step: 3, metrics })),
  },
  {
    name: 'a step of another plan',
    reason: 'step-other-plan',
    control: message((s) => ({ type: 'step', term: s.plan.term, version: 99, step: 3, metrics })),
  },
  {
    name: 'an answer to a coordinator that this peer is not',
    reason: 'not-coordinating',
    control: message((s) => ({ type: 'ready', ...key(s) })),
  },
];

async function training(wire: WireFormat): Promise<{ room: SimRoom; scene: Scene }> {
  const room = new SimRoom(5);
  assert.ok(await room.settle());
  await room.start(tinyConfig({ steps: 60, wire }));
  await room.run(() => room.on.every((peer) => (peer.swarm.record.lastStep?.step ?? -1) >= 5));
  const plan = room.peers[0].swarm.record.plan!;
  const order = plan.stages.map((stage) => stage.lanes[0]);
  const victim = room.peers.find((peer) => peer.id === order[1])!;
  assert.notEqual(victim.id, plan.term.peer);
  const scene = {
    plan,
    victim,
    before: order[0],
    after: order[2],
    stranger: plan.standby[0],
    coordinator: plan.term.peer,
    step: victim.swarm.record.lastStep!.step,
  };
  return { room, scene };
}

describe('what a broken or hostile peer sends', () => {
  it(`there are at least 30 kinds of it`, () => assert.ok(CASES.length >= 30));

  for (const attack of CASES) {
    it(`${attack.name}: refused as ${attack.reason}, and training goes on`, async () => {
      const { room, scene } = await training(attack.wire ?? 'float32');
      const { victim } = scene;
      scene.step = victim.swarm.record.lastStep!.step;
      const before = victim.swarm.refusals.counts()[attack.reason] ?? 0;
      const bytes = (attack.data ?? attack.control!)(scene);
      const from = attack.from?.(scene) ?? scene.before;
      room.network.inject(from, victim.id, attack.data ? 'data' : 'control', bytes);
      assert.equal(
        victim.swarm.refusals.counts()[attack.reason],
        before + 1,
        JSON.stringify(victim.swarm.refusals.recent()),
      );
      await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'), 600_000);
      assert.equal(victim.swarm.record.phase, 'finished');
      assert.equal(victim.swarm.record.plan!.version, 1, 'no new plan was needed');
      assert.equal(victim.swarm.record.steps.length, 60);
      room.close();
    });
  }
});
