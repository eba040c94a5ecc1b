import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { copiesOf } from '../../client/pipeline/redundancy.ts';
import { makeReport } from '../../client/swarm/record/report.ts';
import { hashText, randomUniform } from '../../shared/counter-random.ts';
import { decodeFrame } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';
import { stretchAt } from '../../shared/packets.ts';
import type { Report } from '../../shared/schema/report.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { SimRoom, tinyConfig } from './sim-room.ts';

const STEPS = 40;
const RULES = ['deadline', 'stall', 'discard', 'repair'] as const;

const configOf = (changes: Parameters<typeof tinyConfig>[0] = {}): RunConfig =>
  tinyConfig({ partition: 'auto', grid: { stages: 2, lanes: 2 }, steps: STEPS, ...changes });

interface Trained {
  report: Report;
  parameters: Map<string, Float32Array>;
  /** Virtual time at the end of each step, from the first. */
  stepMs: number[];
}

async function train(config: RunConfig, peers = 4, speeds?: number[]): Promise<Trained> {
  const room = new SimRoom(peers, speeds && { speeds });
  try {
    assert.ok(await room.settle());
    await room.train(config);
    const { record } = room.peers[0].swarm;
    assert.equal(record.phase, 'finished', record.message);
    assert.deepEqual(
      record.events.filter(({ type }) => type === 'trouble'),
      [],
    );
    for (const { swarm } of room.on) assert.deepEqual(swarm.refusals.counts(), {});
    return {
      report: makeReport(record),
      parameters: await room.parameters(),
      stepMs: record.steps.map(({ t_ms }) => t_ms - record.steps[0].t_ms),
    };
  } finally {
    room.close();
  }
}

/** Every micro-batch ends once at every block. */
function assertAccounted({ report }: Trained, { steps, microBatches }: RunConfig): void {
  const { whole, partial, skipped } = report.micro_batches;
  const blocks = report.plan.stages.flatMap(({ lanes }) => lanes).length;
  assert.equal(whole + partial + skipped, steps * microBatches * blocks);
}

describe('rules for lost parts, where nothing is lost', () => {
  const cases: [string, Partial<RunConfig>, number[]?][] = [
    ['two stages of two lanes', {}],
    ['devices of different speeds', {}, [1, 0.4, 2, 0.7]],
    ['four lanes', { grid: { stages: 1, lanes: 4 } }, [1, 0.4, 2, 0.7]],
    ['four stages', { grid: { stages: 4, lanes: 1 } }, [1, 0.4, 2, 0.7]],
    ['without a flush', { schedule: 'async' }, [1, 0.4, 2, 0.7]],
  ];
  for (const [name, changes, speeds] of cases) {
    it(`change no bit: ${name}`, async () => {
      const plain = configOf({ shares: 'even', ...changes });
      const wanted = await train(plain, 4, speeds);
      for (const rule of RULES) {
        const got = await train({ ...plain, rule }, 4, speeds);
        assert.deepEqual(got.report.micro_batches, wanted.report.micro_batches, rule);
        assert.equal(got.report.micro_batches.partial + got.report.micro_batches.skipped, 0);
        assert.deepEqual(got.parameters, wanted.parameters, rule);
        for (const boundary of got.report.plan.boundaries) {
          assert.equal(boundary.forward_bytes, boundary.expected_bytes);
          assert.equal(boundary.resent_bytes, 0, 'nothing goes twice');
          assert.equal(boundary.forward_used, 1);
          assert.equal(boundary.backward_used, boundary.expected_backward_bytes > 0 ? 1 : null);
        }
      }
    });
  }
});

/** Shares of what was sent that came in time, forward and, where gradients pass links, backward. */
function arrivedOf(boundary: Report['plan']['boundaries'][number]): number[] {
  const { forward_arrived: there, backward_arrived: back, expected_backward_bytes } = boundary;
  assert.ok(there !== null && (back !== null) === expected_backward_bytes > 0);
  return back === null ? [there] : [there, back];
}

describe('parts that are lost', () => {
  for (const drop of [0.1, 0.3, 0.5]) {
    it(`training goes on with ${drop} of them lost`, async () => {
      const config = configOf({ steps: 150, rule: 'deadline', faults: { drop } });
      const got = await train(config);
      const lossFree = await train(configOf({ steps: 150 }));
      assertAccounted(got, config);
      const { micro_batches: counts, plan, final } = got.report;
      assert.ok(counts.partial > 0);
      const all = counts.whole + counts.partial + counts.skipped;
      assert.ok(counts.skipped < 0.05 * all, `${counts.skipped} of ${all} are skipped`);
      // Parts are small here: they go several times once it is seen that they get lost.
      const wanted = 1 - drop ** copiesOf(1, { share: drop, gone: drop, isSlow: false });
      for (const boundary of plan.boundaries) {
        for (const share of arrivedOf(boundary))
          assert.ok(Math.abs(share - wanted) < 0.03, `${share} of what was sent came in time`);
        assert.ok(boundary.forward_used! <= boundary.forward_arrived!);
      }
      const learnt = (report: Report) => report.steps[0].loss - report.final.test_loss;
      const least = { 0.1: 0.8, 0.3: 0.5, 0.5: 0.2 }[drop]!;
      assert.ok(
        learnt(got.report) > least * learnt(lossFree.report),
        `test loss ${final.test_loss}, without loss ${lossFree.report.final.test_loss}`,
      );
    });
  }

  it('parts of some size go again unless links are slow, which are slower by that', async () => {
    const config = configOf({ widths: [700], batch: 64, steps: 10, rule: 'deadline', faults: { drop: 0.1 } });
    const resentShare = async (bytesPerMs: number): Promise<number> => {
      const room = new SimRoom(4);
      const ids = room.peers.map(({ id }) => id);
      for (const a of ids) for (const b of ids) if (a < b) room.network.shape(a, b, { bytesPerMs });
      assert.ok(await room.settle());
      await room.train(config);
      const { plan } = makeReport(room.peers[0].swarm.record);
      room.close();
      const [{ forward_bytes, backward_bytes, resent_bytes }] = plan.boundaries;
      return resent_bytes / (forward_bytes + backward_bytes);
    };
    const slowBytesPerMs = LIMITS.link.slowBytesPerSecond / 1000;
    const [slow, fast] = [await resentShare(0.9 * slowBytesPerMs), await resentShare(1.1 * slowBytesPerMs)];
    assert.ok(slow < 0.05 && fast > 0.3, `${slow} on slow links, ${fast} on others`);
  });

  it('without copies, as many parts come as losses leave, and micro-batches are skipped', async () => {
    const config = configOf({ steps: 150, rule: 'deadline', copies: false, faults: { drop: 0.3 } });
    const { report } = await train(config);
    assert.ok(report.micro_batches.skipped > 0);
    for (const boundary of report.plan.boundaries) {
      assert.equal(boundary.resent_bytes, 0);
      for (const share of arrivedOf(boundary))
        assert.ok(Math.abs(share - 0.7) < 0.06, `${share} of what was sent came in time`);
    }
  });

  it('parts go round a link that is down, by way of peers that both ends hear', async () => {
    const config = configOf({ steps: 100, rule: 'deadline', shares: 'even' });
    const { report } = await train(config);
    const nameOf = (stage: number) =>
      report.peers.find(({ id }) => id === report.plan.stages[stage].lanes[0])!.name;
    const faults = { links: [{ between: [nameOf(0), nameOf(1)] as [string, string], drop: 1 }] };
    const arrived = ({ report: { plan } }: Trained) => Math.min(...plan.boundaries.flatMap(arrivedOf));
    const around = { ...config, faults };
    const straight = { ...config, faults, copies: false };
    const [got, wanted] = [await train(around), await train(straight)];
    assert.ok(arrived(got) > 0.95, `${arrived(got)} of what was sent came in time`);
    assert.ok(arrived(wanted) < 0.8, `${arrived(wanted)} without detours`);
    assertAccounted(got, around);
    assert.ok(got.report.micro_batches.skipped < 0.02 * config.steps * config.microBatches * 4);
  });

  it('the same seed loses the same: the same ledger and the same numbers twice', async () => {
    const config = configOf({ rule: 'deadline', faults: { drop: 0.2, burst: 3, jitterMs: 5 } });
    const [one, two] = [await train(config), await train(config)];
    assert.deepEqual(one.report.micro_batches, two.report.micro_batches);
    assert.deepEqual(one.report.plan.boundaries, two.report.plan.boundaries);
    assert.deepEqual(one.parameters, two.parameters);
    const other = await train({ ...config, seed: config.seed + 1 });
    assert.notDeepEqual(one.report.plan.boundaries, other.report.plan.boundaries);
  });

  it('under each rule: what was lost is left out, comes again, or takes its micro-batch with it', async () => {
    const counts = new Map<string, Report['micro_batches']>();
    for (const rule of RULES) {
      const config = configOf({ rule, faults: { drop: 0.1 } });
      const got = await train(config);
      assertAccounted(got, config);
      counts.set(rule, got.report.micro_batches);
      const resent = got.report.plan.boundaries.some(({ resent_bytes }) => resent_bytes > 0);
      assert.equal(resent, rule !== 'discard', rule);
    }
    assert.equal(counts.get('stall')!.partial + counts.get('stall')!.skipped, 0);
    assert.ok(counts.get('repair')!.whole > counts.get('deadline')!.whole);
    assert.ok(counts.get('deadline')!.skipped < counts.get('discard')!.skipped);
  });

  it('waiting for everything gives the numbers of a run without loss', async () => {
    const wanted = await train(configOf());
    const got = await train(
      configOf({ rule: 'stall', faults: { drop: 0.3, duplicate: 0.2, reorder: 0.2, jitterMs: 10 } }),
    );
    assert.deepEqual(got.parameters, wanted.parameters);
    assert.deepEqual(got.report.micro_batches, wanted.report.micro_batches);
  });
});

describe('tests of the model', () => {
  for (const faults of [{ drop: 0.3 }, { drop: 0.3, burst: 3, jitterMs: 5 }]) {
    it(`meet the losses of training where that is asked for, and change nothing of it: ${JSON.stringify(faults)}`, async () => {
      const config = configOf({ rule: 'deadline' });
      const spared = await train({ ...config, faults });
      const [one, two] = [
        await train({ ...config, faults: { ...faults, tests: true } }),
        await train({ ...config, faults: { ...faults, tests: true } }),
      ];
      assert.deepEqual(one.parameters, spared.parameters);
      assert.deepEqual(one.report.micro_batches, spared.report.micro_batches);
      assert.deepEqual(one.report.plan.boundaries, spared.report.plan.boundaries);
      assert.deepEqual(one.report.final, two.report.final);
      assert.equal(one.report.final.test_samples, spared.report.final.test_samples);
      const [lossy, whole] = [one.report.final.test_loss, spared.report.final.test_loss];
      assert.ok(lossy > 1.05 * whole, `test loss ${lossy}, with everything there ${whole}`);
    });
  }

  it('are spared where nothing gets lost', async () => {
    const config = configOf({ rule: 'deadline' });
    const wanted = await train(config);
    const got = await train({ ...config, faults: { drop: 0, tests: true } });
    assert.equal(got.report.final.test_loss, wanted.report.final.test_loss);
    assert.deepEqual(got.parameters, wanted.parameters);
  });
});

describe('gradients', () => {
  it('go back only for packets that were used', async () => {
    const room = new SimRoom(4);
    const arrived = new Set<string>();
    const sent = { forward: 0, backward: 0 };
    room.network.isLost = (from, to, bytes) => {
      const frame = decodeFrame(bytes);
      if (frame.kind !== 'forward' && frame.kind !== 'backward') return false;
      const { kind, boundary, step, micro, offset, format, rows, columns } = frame;
      const { first, packets } = stretchAt(format, rows * columns, frame)!;
      const isLost = randomUniform(hashText(`${kind}/${from}/${to}/${boundary}`), step, micro, offset) < 0.3;
      for (let packet = first; packet < first + packets; packet++) {
        const key = [boundary, step, micro, packet].join('/');
        sent[kind]++;
        if (kind === 'backward')
          assert.ok(arrived.has(`${to}>${from}/${key}`), `no gradient is due for ${key}`);
        else if (!isLost) arrived.add(`${from}>${to}/${key}`);
      }
      return isLost;
    };
    assert.ok(await room.settle());
    // Parts of several packets; copies may come by way of others.
    const lossy = { rule: 'deadline', copies: false } as const;
    await room.train(configOf({ widths: [700, 700], batch: 64, steps: 6, ...lossy }));
    assert.equal(room.peers[0].swarm.record.phase, 'finished');
    const { micro_batches: counts } = makeReport(room.peers[0].swarm.record);
    assert.ok(counts.partial > 0);
    assert.ok(sent.backward > 100 && sent.backward < 0.75 * sent.forward, JSON.stringify(sent));
    room.close();
  });
});

describe('trouble that passes', () => {
  /** A peer that holds a lane which is not the owner of its stage. */
  async function bystander(): Promise<string> {
    const { report } = await train(configOf({ steps: 2 }));
    const { lanes, owner } = report.plan.stages[0];
    return report.peers.find(({ id }) => id === lanes[1 - owner])!.name;
  }

  it('one device that stalls 5 s in 15 holds up the others once, for less than the cap', async () => {
    const stalls = [{ peer: await bystander(), seconds: 5, everySeconds: 15 }];
    const speeds = [0.002, 0.002, 0.002, 0.002];
    const config = configOf({ steps: 60, shares: 'even', faults: { stalls } });
    const [going, waiting] = [
      await train({ ...config, rule: 'deadline' }, 4, speeds),
      await train({ ...config, rule: 'stall' }, 4, speeds),
    ];
    assertAccounted(going, config);
    const longest = ({ stepMs }: Trained) => Math.max(...stepMs.slice(1).map((ms, i) => ms - stepMs[i]));
    assert.ok(waiting.stepMs.at(-1)! > 15_000, `the stall comes within ${waiting.stepMs.at(-1)} ms`);
    assert.ok(longest(waiting) > 4_500, `waiting takes ${longest(waiting)} ms`);
    assert.ok(longest(going) < 2_500, `a step takes ${longest(going)} ms at most`);
    const { whole } = going.report.micro_batches;
    assert.ok(whole > 0.6 * config.steps * config.microBatches * 4, `${whole} are whole: it came back`);
  });

  it('a cut hurts its own steps and no others', async () => {
    const cuts = [{ between: ['peer 1', 'peer 2'] as [string, string], steps: [10, 14] as [number, number] }];
    const config = configOf({ rule: 'deadline', faults: { cuts } });
    const got = await train(config);
    assertAccounted(got, config);
    const { partial, skipped } = got.report.micro_batches;
    assert.ok(partial + skipped > 0 && partial + skipped <= 5 * config.microBatches * 4);
  });

  it('a plan made anew in the middle goes on under the rule', async () => {
    const room = new SimRoom(4);
    assert.ok(await room.settle());
    await room.start(configOf({ steps: 60, rule: 'deadline', faults: { drop: 0.1 } }));
    await room.run(() => (room.peers[0].swarm.record.lastStep?.step ?? 0) >= 20);
    room.peers[0].swarm.replan();
    await room.run(() => room.on.every(({ swarm }) => swarm.record.phase === 'finished'), 600_000);
    const { record } = room.peers[0].swarm;
    assert.equal(record.phase, 'finished', record.message);
    assert.equal(record.final!.stepsDone, 60);
    for (const boundary of makeReport(record).plan.boundaries)
      for (const share of arrivedOf(boundary)) assert.ok(share > 0.97, `${share} came in time`);
    room.close();
  });
});
