import type { Report } from '../../shared/schema/report.ts';
import type { ReportSpan } from '../../shared/schema/timeline.ts';

/**
 * The timelines of a report in the format that Perfetto and chrome://tracing open ("Trace Event Format", Google): a process for each
 * peer, in it a thread for what it computes and waits for, and threads for parts on their way out and in.
 */
export interface Trace {
  displayTimeUnit: 'ms';
  traceEvents: TraceEvent[];
}

export type TraceEvent =
  | {
      ph: 'M';
      name: 'process_name' | 'process_sort_index' | 'thread_name';
      pid: number;
      tid: number;
      args: { name: string } | { sort_index: number };
    }
  | {
      ph: 'X';
      name: string;
      cat: string;
      pid: number;
      tid: number;
      /** Microseconds. */
      ts: number;
      dur: number;
      args: Record<string, number | string>;
    };

const COMPUTE_TID = 1;
/** Parts overlap, but the events of one thread must not: each way has as many threads as parts were under way at once. */
const FIRST_TID = { send: 10_000, receive: 20_000 } as const;

export function traceOf({ peers, plan, timelines }: Report): Trace {
  const nameOf = (id: string) => peers.find((peer) => peer.id === id)?.name ?? id;
  const starts = timelines.flatMap(({ spans }) => spans.map(({ start_ms }) => start_ms));
  const zeroMs = starts.reduce((least, ms) => Math.min(least, ms), Infinity);
  const traceEvents = timelines.flatMap(({ peer, spans }, i) => {
    const pid = i + 1;
    const events: TraceEvent[] = [
      metadata('process_name', pid, 0, { name: `${nameOf(peer)}${placeOf(plan.stages, peer)}` }),
      metadata('process_sort_index', pid, 0, { sort_index: stageOf(plan.stages, peer) }),
      metadata('thread_name', pid, COMPUTE_TID, { name: 'computes' }),
    ];
    const rows = { send: new Rows(), receive: new Rows() };
    for (const span of [...spans].sort((a, b) => a.start_ms - b.start_ms)) {
      let tid = COMPUTE_TID;
      if (span.kind === 'send' || span.kind === 'receive') {
        const row = rows[span.kind].place(span.start_ms, span.end_ms);
        tid = FIRST_TID[span.kind] + row.index;
        const name = span.kind === 'send' ? 'sends' : 'receives';
        if (row.isNew) events.push(metadata('thread_name', pid, tid, { name }));
      }
      events.push(eventOf(span, { pid, tid, zeroMs, nameOf }));
    }
    return events;
  });
  return { displayTimeUnit: 'ms', traceEvents };
}

interface Place {
  pid: number;
  tid: number;
  zeroMs: number;
  nameOf: (id: string) => string;
}

function eventOf(span: ReportSpan, { pid, tid, zeroMs, nameOf }: Place): TraceEvent {
  const { kind, step, micro, start_ms, end_ms } = span;
  const at = {
    ph: 'X' as const,
    cat: kind,
    pid,
    tid,
    ts: micros(start_ms - zeroMs),
    dur: micros(Math.max(0, end_ms - start_ms)),
  };
  if (kind === 'wait')
    return { ...at, name: `wait: ${span.missing} ${micro}`, args: { step, micro, missing: span.missing } };
  if (kind === 'send' || kind === 'receive') {
    const { way, boundary, peer, bytes } = span;
    return {
      ...at,
      name: `${kind} ${way} ${micro}`,
      args: { step, micro, boundary, bytes, peer: nameOf(peer) },
    };
  }
  return { ...at, name: kind === 'step' ? 'step' : `${kind} ${micro}`, args: { step, micro } };
}

const metadata = (
  name: 'process_name' | 'process_sort_index' | 'thread_name',
  pid: number,
  tid: number,
  args: { name: string } | { sort_index: number },
): TraceEvent => ({ ph: 'M', name, pid, tid, args });

const stageOf = (stages: Report['plan']['stages'], peer: string): number => {
  const stage = stages.findIndex(({ lanes }) => lanes.includes(peer));
  return stage < 0 ? stages.length : stage;
};

function placeOf(stages: Report['plan']['stages'], peer: string): string {
  const stage = stages.findIndex(({ lanes }) => lanes.includes(peer));
  if (stage < 0) return ': stands by';
  const { lanes } = stages[stage];
  return `: stage ${stage + 1}${lanes.length > 1 ? `, lane ${lanes.indexOf(peer) + 1}` : ''}`;
}

/** To whole nanoseconds: sums of binary fractions would make neighbours overlap. */
const micros = (ms: number): number => Math.round(ms * 1e6) / 1e3;

/** Rows of spans that do not overlap. */
class Rows {
  readonly #endsMs: number[] = [];

  /** Of spans in the order of their starts. */
  place(startMs: number, endMs: number): { index: number; isNew: boolean } {
    const free = this.#endsMs.findIndex((end) => end <= startMs);
    const isNew = free < 0;
    const index = isNew ? this.#endsMs.length : free;
    this.#endsMs[index] = endMs;
    return { index, isNew };
  }
}
