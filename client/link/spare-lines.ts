import * as v from 'valibot';
import { LinkSignalSchema } from '../../shared/schema/signal.ts';
import type { Cancel, Clock } from '../ports/clock.ts';
import { Connection } from './connection.ts';
import type { Signal } from './link.ts';
import { CLOSED } from './link-reasons.ts';
import { refusalOf } from './signal-check.ts';

/** No MessagePack begins with it: a control message that does is for the link itself. */
const MARK = 0xc1;

const { signal } = LinkSignalSchema.entries;
const line = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(255));
const NoteSchema = v.variant('type', [
  /** What this side sends drains slowly, and only the side that began the link begins further lines. */
  v.strictObject({ type: v.literal('wanted') }),
  v.strictObject({ type: v.literal('signal'), line, signal }),
  /** The line is open at the sender of this: what comes by it is taken. */
  v.strictObject({ type: v.literal('open'), line }),
  /** The sender of this has given the line up. */
  v.strictObject({ type: v.literal('closed'), line }),
]);
type Note = v.InferOutput<typeof NoteSchema>;

export interface SpareOptions {
  initiator: boolean;
  iceServers: RTCIceServer[];
  clock: Clock;
  limits: {
    candidates: number;
    connections: number;
    connectTimeoutMs: number;
    slowBytesPerSecond: number;
    lineTrialMs: number;
    lineGain: number;
  };
  /** To the other side's spare lines, on the control channel. */
  tell: (note: Uint8Array) => void;
  onOpen: (channel: RTCDataChannel) => void;
  onData: (data: unknown) => void;
  /** A line that carried data broke: what was on its way is lost. */
  onBroken: (reason: string) => void;
  onRefused: (reason: string) => void;
}

interface Line {
  connection: Connection;
  channel: RTCDataChannel | null;
  /** The other side has it open, too. Where packets get lost one side may wait in vain, and what is sent to it would be lost. */
  isTaken: boolean;
  cancelTimeout: Cancel;
}

/**
 * Further connections to the same peer for data, opened while what there is takes data slowly. SCTP takes a lost packet for congestion and
 * slows down; each connection does so by itself. They are agreed on over the link's control channel, without the server. One more is
 * tried, and another only where that helped.
 */
export class SpareLines {
  readonly #lines = new Map<number, Line>();
  #opened = 0;
  #restUntilMs = -Infinity;
  /** Bytes per second before the line that is being tried; null before any. */
  #before: number | null = null;
  #closed = false;

  constructor(private readonly options: SpareOptions) {}

  /** Channels that data may go through. */
  get channels(): RTCDataChannel[] {
    return [...this.#lines.values()].flatMap(({ channel, isTaken }) =>
      isTaken && channel?.readyState === 'open' ? [channel] : [],
    );
  }

  /** Data drains at that rate while there is any: is it time for one more line? */
  consider(bytesPerSecond: number): void {
    const { clock, initiator, limits } = this.options;
    const nowMs = clock.now();
    if (this.#closed || bytesPerSecond >= limits.slowBytesPerSecond || nowMs < this.#restUntilMs) return;
    if (this.#lines.size + 1 >= limits.connections) return;
    this.#restUntilMs = nowMs + limits.lineTrialMs;
    if (this.#before !== null && bytesPerSecond < limits.lineGain * this.#before) {
      this.#restUntilMs = Infinity;
      return;
    }
    this.#before = bytesPerSecond;
    if (initiator) this.#begin(++this.#opened, true);
    else this.#tell({ type: 'wanted' });
  }

  /** True where a control message was for the link itself. */
  receive(bytes: Uint8Array): boolean {
    if (bytes[0] !== MARK) return false;
    const note = readNote(bytes.subarray(1));
    if (typeof note === 'string') this.options.onRefused(note);
    else if (note.type === 'signal') this.#onSignal(note.line, note.signal);
    else if (note.type === 'open') this.#onTaken(note.line);
    else if (note.type === 'closed') this.#broken(note.line, CLOSED);
    else this.#onWanted();
    return true;
  }

  close(): void {
    this.#closed = true;
    for (const line of [...this.#lines.keys()]) this.#end(line);
  }

  #onWanted(): void {
    const { initiator, limits } = this.options;
    if (!initiator) this.options.onRefused('line-unexpected');
    else if (!this.#closed && this.#lines.size + 1 < limits.connections) this.#begin(++this.#opened, true);
  }

  #onSignal(number: number, given: Signal): void {
    const { initiator, limits, onRefused } = this.options;
    if (!this.#lines.has(number)) {
      const isOffer = given.type === 'offer' && !initiator && number > this.#opened;
      // Candidates of a line that has failed here may still come.
      if (!isOffer) return;
      if (this.#closed || this.#lines.size + 1 >= limits.connections) {
        onRefused('line-unexpected');
        return;
      }
      this.#opened = number;
      this.#begin(number, false);
    }
    this.#lines.get(number)?.connection.signal(given);
  }

  #begin(number: number, initiator: boolean): void {
    const { clock, iceServers, limits, onData, onRefused } = this.options;
    try {
      const connection = new Connection({
        initiator,
        iceServers,
        candidates: limits.candidates,
        channel: { name: 'data', ordered: false },
        events: {
          onSignal: (given) => this.#tell({ type: 'signal', line: number, signal: given }),
          onConnect: (channel) => {
            const opened = this.#lines.get(number)!;
            opened.channel = channel;
            this.#tell({ type: 'open', line: number });
            this.#use(opened);
          },
          onData,
          onClose: (reason) => this.#broken(number, reason),
          onRefused,
        },
      });
      const cancelTimeout = clock.after(limits.connectTimeoutMs, () => {
        this.#end(number);
        this.#tell({ type: 'closed', line: number });
      });
      this.#lines.set(number, { connection, channel: null, isTaken: false, cancelTimeout });
    } catch {
      // The browser makes no more connections: the link does with those it has.
      this.#restUntilMs = Infinity;
    }
  }

  #onTaken(number: number): void {
    const taken = this.#lines.get(number);
    if (!taken || taken.isTaken) return;
    taken.isTaken = true;
    this.#use(taken);
  }

  /** Both sides have it open, as far as this one knows. */
  #use({ channel, isTaken, cancelTimeout }: Line): void {
    if (!channel || !isTaken) return;
    cancelTimeout();
    this.options.onOpen(channel);
  }

  #broken(number: number, reason: string): void {
    const broken = this.#lines.get(number);
    this.#end(number);
    if (broken?.isTaken && broken.channel) this.options.onBroken(reason);
  }

  #end(number: number): void {
    const ended = this.#lines.get(number);
    this.#lines.delete(number);
    ended?.cancelTimeout();
    ended?.connection.close();
  }

  #tell(note: Note): void {
    if (!this.#closed)
      this.options.tell(Uint8Array.of(MARK, ...new TextEncoder().encode(JSON.stringify(note))));
  }
}

/** A text is the reason for refusing it. */
function readNote(bytes: Uint8Array): Note | string {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return 'line-note-malformed';
  }
  const parsed = v.safeParse(NoteSchema, value);
  if (!parsed.success) return 'line-note-malformed';
  const note = parsed.output;
  return (note.type === 'signal' ? refusalOf(note.signal) : null) ?? note;
}
