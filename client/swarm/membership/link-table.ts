import type { PeerId } from '../../../shared/ids.ts';
import type { ControlOf, Quality } from '../../../shared/schema/control.ts';
import type { LinkQuality } from './centrality.ts';

type Row = ControlOf<'heartbeat'>['row'];

/** Weight of a new sample in the moving average of loss: about the last ten heartbeats count. */
const WEIGHT = 0.2;
/** Bytes per second assumed of a link until a burst was measured. */
const GOODPUT_UNMEASURED = 1e6;

/** Samples that a median is taken of: one late message (a pause of a browser, a busy processor) moves nothing. */
const SAMPLES = 9;

interface Measured {
  rttsMs: number[];
  arrived: number;
  goodputs: number[];
}

/** Link qualities: this peer's own measurements, and what the others gossip of theirs. Everybody computes from the same table. */
export class LinkTable {
  readonly #own = new Map<PeerId, Measured>();
  readonly #rows = new Map<PeerId, Row>();

  constructor(private readonly self: PeerId) {}

  sampleRtt(peer: PeerId, rttMs: number): void {
    keep(this.#measured(peer).rttsMs, rttMs);
  }

  /** `missed` heartbeats were skipped in the numbering before this one arrived. */
  sampleArrival(peer: PeerId, missed: number): void {
    const measured = this.#measured(peer);
    for (let i = 0; i < Math.min(missed, 50); i++) measured.arrived = average(measured.arrived, 0);
    measured.arrived = average(measured.arrived, 1);
  }

  /** @param goodput bytes per second of a burst that came from `peer` */
  sampleGoodput(peer: PeerId, goodput: number): void {
    keep(this.#measured(peer).goodputs, goodput);
  }

  setRow(peer: PeerId, row: Row): void {
    this.#rows.set(peer, row);
  }

  /** The link broke: it is no way to anywhere until it is measured again. */
  unlink(peer: PeerId): void {
    this.#own.delete(peer);
  }

  forget(peer: PeerId): void {
    this.#own.delete(peer);
    this.#rows.delete(peer);
  }

  /** What this peer gossips: its links to `alive` peers that were measured. */
  ownRow(alive: readonly PeerId[]): Row {
    return alive.flatMap((peer) => {
      const measured = this.#own.get(peer);
      if (!measured || measured.rttsMs.length === 0) return [];
      const goodput = Math.max(1, median(measured.goodputs) ?? GOODPUT_UNMEASURED);
      const loss = Math.min(1, Math.max(0, 1 - measured.arrived));
      return [{ peer, rttMs: median(measured.rttsMs)!, loss, goodput }];
    });
  }

  /** True where every alive peer has measured its link to every other. */
  complete(alive: readonly PeerId[]): boolean {
    const links = this.links(alive);
    return links.length === (alive.length * (alive.length - 1)) / 2;
  }

  /** The links among `alive` peers (this one included), both directions joined: mean round trip and loss, lesser goodput. */
  links(alive: readonly PeerId[]): LinkQuality[] {
    const rowOf = (peer: PeerId): Row =>
      peer === this.self ? this.ownRow(alive) : (this.#rows.get(peer) ?? []);
    const rows = new Map(alive.map((peer) => [peer, rowOf(peer)]));
    const entry = (from: PeerId, to: PeerId) => rows.get(from)!.find(({ peer }) => peer === to);
    const sorted = [...alive].sort();
    return sorted.flatMap((a, i) =>
      sorted.slice(i + 1).flatMap((b) => {
        const quality = join(entry(a, b), entry(b, a));
        return quality ? [{ a, b, ...quality }] : [];
      }),
    );
  }

  /** True where some other peer reports a link to `peer`. */
  reachedByOthers(peer: PeerId, alive: readonly PeerId[]): boolean {
    return alive.some((other) => this.#rows.get(other)?.some((entry) => entry.peer === peer) ?? false);
  }

  #measured(peer: PeerId): Measured {
    let measured = this.#own.get(peer);
    if (!measured) {
      measured = { rttsMs: [], arrived: 1, goodputs: [] };
      this.#own.set(peer, measured);
    }
    return measured;
  }
}

const average = (old: number, sample: number): number => old + WEIGHT * (sample - old);

function keep(samples: number[], sample: number): void {
  samples.push(sample);
  if (samples.length > SAMPLES) samples.shift();
}

function median(samples: readonly number[]): number | null {
  if (samples.length === 0) return null;
  return [...samples].sort((a, b) => a - b)[samples.length >> 1];
}

function join(there: Quality | undefined, back: Quality | undefined): Quality | null {
  if (!there || !back) return null;
  return {
    rttMs: (there.rttMs + back.rttMs) / 2,
    loss: (there.loss + back.loss) / 2,
    goodput: Math.min(there.goodput, back.goodput),
  };
}
