import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { ControlOf } from '../../shared/schema/control.ts';
import type { Cancel, Clock } from '../ports/clock.ts';

export type PartsNotice = Pick<ControlOf<'parts'>, 'streams' | 'loss'>;
type Stream = PartsNotice['streams'][number];
export type StreamId = Pick<Stream, 'kind' | 'boundary' | 'lane'>;

type Item = Pick<Stream, 'step' | 'micro'>;

const keyOf = ({ kind, boundary }: StreamId): string => `${kind}/${boundary}`;
const isLater = (a: Item, b: Item): boolean => a.step > b.step || (a.step === b.step && a.micro > b.micro);

/**
 * Tells neighbours over the reliable channel which parts have left and which will not come, so that whoever misses one knows that it
 * is lost, and nobody waits for what is not sent. Notices are put together for a moment; what spares others a wait goes at once.
 */
export class Notices {
  readonly #pending = new Map<PeerId, Map<string, Stream>>();
  /** The last part that left, or did not, of each stream. */
  readonly #latest = new Map<PeerId, Map<string, { id: StreamId; item: Item }>>();
  #cancel: Cancel | null = null;
  #dueMs = Infinity;

  constructor(
    private readonly clock: Clock,
    private readonly tell: (to: PeerId, notice: PartsNotice) => void,
    /** What is lost of a peer's own parts: it wants to know how its link is. */
    private readonly lossFrom: (peer: PeerId) => PartsNotice['loss'],
  ) {}

  /**
   * @param packets where not all of the part has left: how many packets
   * @param isSaid true where frames of the part say that, too
   */
  sent(to: PeerId, id: StreamId, item: Item, packets: number | null, isSaid = false): void {
    this.#keep(to, id, item);
    let streams = this.#pending.get(to);
    if (!streams) this.#pending.set(to, (streams = new Map<string, Stream>()));
    const key = keyOf(id);
    let stream = streams.get(key);
    if (!stream) streams.set(key, (stream = { ...id, ...item, fewer: [] }));
    if (isLater(item, stream)) {
      stream.step = item.step;
      stream.micro = item.micro;
    }
    if (packets !== null) stream.fewer.push({ ...item, packets });
    const { noticeItems, noticeMs, noticeStreams } = LIMITS.pipeline;
    if (stream.fewer.length >= noticeItems || streams.size >= noticeStreams) this.#flush();
    else this.#schedule(packets === null || isSaid ? noticeMs : 0);
  }

  /** Says once more how far the streams to a peer are: what was said before may be lost, and none of them may have more to say. */
  again(to: PeerId): void {
    for (const { id, item } of this.#latest.get(to)?.values() ?? []) this.sent(to, id, item, null);
  }

  close(): void {
    this.#cancel?.();
    this.#pending.clear();
  }

  #keep(to: PeerId, id: StreamId, item: Item): void {
    let latest = this.#latest.get(to);
    if (!latest) this.#latest.set(to, (latest = new Map<string, { id: StreamId; item: Item }>()));
    const known = latest.get(keyOf(id));
    if (!known || isLater(item, known.item)) latest.set(keyOf(id), { id, item });
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
