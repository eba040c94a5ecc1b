import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as v from 'valibot';
import { FaultLink, type FrameKey } from '../../client/swarm/faults/fault-link.ts';
import { FaultyTransport } from '../../client/swarm/faults/faulty-transport.ts';
import type { TransportHandlers } from '../../client/ports/transport.ts';
import { decodeFrame, encodeFrame, encodePart, type PartFrame, type PartHead } from '../../shared/frames.ts';
import { readNumbers, WIRE_FORMATS } from '../../shared/wire.ts';
import { FaultsSchema, type Faults, type LinkFaults } from '../../shared/schema/faults.ts';

const FRAMES = 40_000;
const keyOf = (i: number): FrameKey => ({
  kind: 'forward',
  step: i >> 3,
  micro: i & 7,
  boundary: 0,
  offset: 0,
  attempt: 0,
});

/** Which frames are lost, one every `everyMs`. */
function losses(faults: LinkFaults, seed = 1, everyMs = 1, from = 'a', to = 'b'): boolean[] {
  const link = new FaultLink(faults, seed, from, to);
  return Array.from({ length: FRAMES }, (_, i) => link.drops(keyOf(i), i * everyMs));
}

const share = (lost: readonly boolean[]) => lost.filter(Boolean).length / lost.length;
const meanRun = (lost: readonly boolean[]) =>
  lost.filter(Boolean).length / lost.filter((one, i) => one && !lost[i - 1]).length;
const near = (value: number, wanted: number) =>
  assert.ok(Math.abs(value - wanted) < 0.08 * wanted, `${value}, not ${wanted}`);

describe('faults that a run may ask for', () => {
  for (const [faults, possible] of [
    [{ drop: 0.3, burst: 5 }, true],
    [{ burst: 5 }, false],
    [{ drop: 0.9, burst: 2 }, false],
    [{ links: [{ between: ['a', 'b'], burst: 5 }] }, false],
    [{ drop: 0.3, tests: true }, true],
    [{ links: [{ between: ['a', 'b'], outage: { share: 0.1, seconds: 2 } }], tests: true }, true],
    [{ jitterMs: 20, tests: true }, false],
    [{ jitterMs: 20, tests: false }, true],
  ] as const) {
    it(`${JSON.stringify(faults)}: ${possible ? 'taken' : 'refused'}`, () => {
      assert.equal(v.safeParse(FaultsSchema, faults).success, possible);
    });
  }
});

describe('what happens to frames on a link', () => {
  it('loses the share that was asked for, each by itself or in a row', () => {
    near(share(losses({ drop: 0.3 })), 0.3);
    near(meanRun(losses({ drop: 0.3 })), 1 / 0.7);
    near(share(losses({ drop: 0.3, burst: 10 })), 0.3);
    near(meanRun(losses({ drop: 0.3, burst: 10 })), 10);
    assert.equal(share(losses({})), 0);
    assert.equal(share(losses({ drop: 1 })), 1);
  });

  it('follows from the seed and the names, and differs by direction', () => {
    assert.deepEqual(losses({ drop: 0.3 }), losses({ drop: 0.3 }));
    assert.notDeepEqual(losses({ drop: 0.3 }), losses({ drop: 0.3 }, 2));
    assert.notDeepEqual(losses({ drop: 0.3 }), losses({ drop: 0.3 }, 1, 1, 'b', 'a'));
    const link = new FaultLink({ drop: 0.5 }, 1, 'a', 'b');
    const attempts = Array.from({ length: 100 }, (_, attempt) => link.drops({ ...keyOf(0), attempt }, 0));
    near(share(attempts) + 0.5, 1);
  });

  it('loses the share of evaluations too, and changes nothing of training by that', () => {
    for (const faults of [{ drop: 0.3 }, { drop: 0.3, burst: 10 }, { outage: { share: 0.3, seconds: 2 } }]) {
      const link = new FaultLink(faults, 1, 'a', 'b');
      const both = Array.from({ length: FRAMES }, (_, i) => ({
        training: link.drops(keyOf(i), i),
        evaluation: link.drops({ ...keyOf(i), kind: 'evaluation' }, i),
      }));
      const [training, evaluation] = [both.map((one) => one.training), both.map((one) => one.evaluation)];
      assert.deepEqual(training, losses(faults));
      if (faults.outage) assert.deepEqual(evaluation, training, 'a link that is down is so for all');
      else {
        near(share(evaluation), 0.3);
        near(meanRun(evaluation), faults.burst ?? 1 / 0.7);
        near(share(evaluation.map((one, i) => one && training[i])), 0.09);
      }
    }
  });

  it('is down for the share of the time that was asked for, both ways at once', () => {
    const outage = { share: 0.25, seconds: 2 };
    const there = losses({ outage }, 1, 100);
    near(share(there), 0.25);
    near(meanRun(there), 20);
    assert.deepEqual(there, losses({ outage }, 1, 100, 'b', 'a'));
  });
});

describe('frames that arrive where everything is lost', () => {
  const NUMBERS = Float32Array.from({ length: 300 }, (_, i) => i - 150.5);
  const head: PartHead = {
    ...{ kind: 'evaluation', term: 1, version: 2, planTag: 3, step: 0, micro: 4, boundary: 5, lane: 1 },
    ...{ rows: 2, columns: 150, offset: 0, count: 300, format: 'float32' },
  };

  /** What is made of a frame that arrives. */
  function arrived(bytes: Uint8Array, faults: Faults): Uint8Array[] {
    let inner: TransportHandlers | null = null;
    const came: Uint8Array[] = [];
    const transport = new FaultyTransport(
      { self: 'b', listen: (handlers: TransportHandlers) => (inner = handlers) } as never,
      { now: () => 0, after: () => () => undefined },
      (peer) => peer,
    );
    const ignore = () => undefined;
    transport.listen({ onOpen: ignore, onClose: ignore, onMessage: (_peer, _channel, it) => came.push(it) });
    transport.inject(faults, 1, 1);
    inner!.onMessage('a', 'data', bytes);
    return came;
  }

  for (const format of WIRE_FORMATS) {
    it(`an evaluation comes as zeros where tests meet losses, as it is elsewhere: ${format}`, () => {
      const bytes = encodePart({ ...head, format }, NUMBERS);
      const [kept, sent] = [bytes.slice(), decodeFrame(bytes.slice()) as PartFrame];
      const [lost] = arrived(bytes, { drop: 1, tests: true });
      assert.deepEqual(bytes, kept, 'what the transport has stays as it was');
      const frame = decodeFrame(lost) as PartFrame;
      assert.deepEqual({ ...frame, payload: null }, { ...sent, payload: null });
      const numbers = new Float32Array(300).fill(NaN);
      assert.ok(readNumbers(format, frame.payload, frame, numbers));
      assert.deepEqual(numbers, new Float32Array(300));
      for (const faults of [{ drop: 1 }, { drop: 1, tests: false }, { drop: 0, tests: true }])
        assert.deepEqual(arrived(bytes, faults), [kept]);
    });
  }

  it('no part of training comes, and every blob as it is', () => {
    const faults = { drop: 1, tests: true };
    for (const kind of ['forward', 'backward'] as const)
      assert.deepEqual(arrived(encodePart({ ...head, kind }, NUMBERS), faults), []);
    const blob = encodeFrame({
      kind: 'blob',
      id: 1,
      offset: 0,
      total: 99,
      payload: new Uint8Array(99).fill(7),
    });
    assert.deepEqual(arrived(blob, faults), [blob]);
  });

  it('cuts and stalls spare evaluations: they are of steps, and lose nothing', () => {
    const cuts: Faults['cuts'] = [{ between: ['a', 'b'], steps: [0, 9] }];
    const stalls = [{ peer: 'a', seconds: 5, everySeconds: 5.1 }];
    const bytes = encodePart(head, NUMBERS);
    assert.deepEqual(arrived(bytes, { drop: 0, tests: true, cuts, stalls }), [bytes]);
  });
});
