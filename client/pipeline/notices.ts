import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { ControlOf } from '../../shared/schema/control.ts';
import type { Cancel, Clock } from '../ports/clock.ts';

export type PartsNotice = Pick<ControlOf<'parts'>, 'streams' | 'loss'>;
type Stream = PartsNotice['streams'][number];
export type StreamId = Pick<Stream, 'kind' | 'boundary' | 'lane'>;

/**
 * Tells neighbours over the reliable channel which parts have left and which will not come, so that whoever misses one knows that it
 * is lost, and nobody waits for what is not sent. Notices are put together for a moment; what spares others a wait goes at once.
 */
export class Notices {
  readonly #pending = new Map<PeerId, Map<string, Stream>>();
  #cancel: Cancel | null = null;
  #dueMs = Infinity;

  constructor(
    private readonly clock: Clock,
    private readonly tell: (to: PeerId, notice: PartsNotice) => void,
    /** What is lost of a peer's own parts: it wants to know how its link is. */
    private readonly lossFrom: (peer: PeerId) => PartsNotice['loss'],
  ) {}

  /** @param frames where not all frames of the part have left: how many */
  sent(to: PeerId, id: StreamId, item: { step: number; micro: number }, frames: number | null): void {
    let streams = this.#pending.get(to);
    if (!streams) this.#pending.set(to, (streams = new Map<string, Stream>()));
    const key = `${id.kind}/${id.boundary}`;
    let stream = streams.get(key);
    if (!stream) streams.set(key, (stream = { ...id, ...item, fewer: [] }));
    if (item.step > stream.step || (item.step === stream.step && item.micro > stream.micro)) {
      stream.step = item.step;
      stream.micro = item.micro;
    }
    if (frames !== null) stream.fewer.push({ ...item, frames });
    const { noticeItems, noticeMs, noticeStreams } = LIMITS.pipeline;
    if (stream.fewer.length >= noticeItems || streams.size >= noticeStreams) this.#flush();
    else this.#schedule(frames === null ? noticeMs : 0);
  }

  close(): void {
    this.#cancel?.();
    this.#pending.clear();
  }

  #schedule(delayMs: number): void {
    const dueMs = this.clock.now() + delayMs;
    if (dueMs >= this.#dueMs) return;
    this.#cancel?.();
    this.#dueMs = dueMs;
    this.#cancel = this.clock.after(delayMs, () => this.#flush());
  }

  #flush(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#dueMs = Infinity;
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const [to, streams] of pending) {
      const loss = this.lossFrom(to);
      this.tell(to, { streams: [...streams.values()], ...(loss && { loss }) });
    }
  }
}
