import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { traceOf, type TraceEvent } from '../../client/cli/trace.ts';
import type { ReportSpan } from '../../shared/schema/timeline.ts';
import { SimRoom, tinyConfig } from '../simulation/sim-room.ts';

type Complete = Extract<TraceEvent, { ph: 'X' }>;

const room = new SimRoom(4);
await room.settle();
await room.train(tinyConfig({ partition: 'auto', grid: { stages: 2, lanes: 2 }, steps: 6 }));
let answered = false;
const pending = room.on[0].swarm.report().finally(() => (answered = true));
await room.run(() => answered);
const report = await pending;
room.close();

/** Parts that are on their way at the same time, which small ones never are. */
const { peer } = report.timelines[0];
const long = (micro: number, start_ms: number, end_ms: number): ReportSpan => {
  const what = { kind: 'receive', way: 'forward', step: 0, boundary: 0, peer, bytes: 1 } as const;
  return { ...what, micro, start_ms, end_ms };
};
report.timelines[0].spans.push(long(0, 100, 200), long(1, 150, 250), long(2, 200, 300), long(3, 210, 220));

const { displayTimeUnit, traceEvents } = JSON.parse(JSON.stringify(traceOf(report))) as ReturnType<
  typeof traceOf
>;
const complete = traceEvents.filter((event): event is Complete => event.ph === 'X');

describe('a trace', () => {
  it('has a process for each peer, named by the peer and its place', () => {
    const names = traceEvents.flatMap((event) =>
      event.ph === 'M' && event.name === 'process_name' && 'name' in event.args ? event.args.name : [],
    );
    assert.equal(new Set(traceEvents.map(({ pid }) => pid)).size, 4);
    for (const number of [1, 2, 3, 4])
      assert.ok(names.some((name) => RegExp(`^peer ${number}: stage [12], lane [12]$`).test(name)));
    assert.equal(displayTimeUnit, 'ms');
  });

  it('has a complete event for every span of the report, from the first on', () => {
    const spans = report.timelines.flatMap((timeline) => timeline.spans);
    assert.equal(complete.length, spans.length);
    for (const kind of ['forward', 'backward', 'step', 'wait', 'send', 'receive'] as const) {
      const lengths = (list: { ms: number }[]) => list.reduce((sum, { ms }) => sum + ms, 0);
      const wanted = spans.filter((span) => span.kind === kind);
      const got = complete.filter(({ cat }) => cat === kind);
      assert.ok(wanted.length > 0, `no span of kind ${kind}`);
      const wantedMs = lengths(wanted.map((span: ReportSpan) => ({ ms: span.end_ms - span.start_ms })));
      const gotMs = lengths(got.map(({ dur }) => ({ ms: dur / 1000 })));
      assert.ok(Math.abs(wantedMs - gotMs) < 0.1, `${kind}: ${wantedMs} and ${gotMs} ms`);
    }
    assert.equal(Math.min(...complete.map(({ ts }) => ts)), 0);
    for (const { ts, dur, name } of complete)
      assert.ok(ts >= 0 && dur >= 0 && Number.isFinite(ts + dur) && name !== '', JSON.stringify({ ts, dur }));
  });

  it('lets no two events of one thread overlap, and names every thread', () => {
    const threadOf = ({ pid, tid }: TraceEvent) => `${pid}/${tid}`;
    for (const thread of new Set(complete.map(threadOf))) {
      const events = complete.filter((event) => threadOf(event) === thread);
      const sorted = events.sort((a, b) => a.ts - b.ts || a.dur - b.dur);
      sorted.slice(1).forEach((event, i) => {
        const end = sorted[i].ts + sorted[i].dur;
        assert.ok(event.ts >= end - 1e-3, `${event.name} begins at ${event.ts}, before ${end}`);
      });
      const named = traceEvents.filter((event) => event.name === 'thread_name');
      assert.ok(named.some((event) => threadOf(event) === thread));
    }
  });
});
