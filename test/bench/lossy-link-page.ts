import { browserClock } from '../../client/link/clock.ts';
import { newStats, type Signal } from '../../client/link/link.ts';
import { PeerLink } from '../../client/link/peer-link.ts';
import { decodeFrame, encodePart } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';

/** Parts of so many bytes, each so many times in a row, for so long. */
interface Parts {
  ms: number;
  everyMs: number;
  bytes: number;
  copies: number;
}

/** For automation: one end of a link that loses packets. Parts go both ways, as in training: a few at a time, with pauses. */
export interface LossyPage {
  lossyEnd: {
    open(initiator: boolean): void;
    /** What the other end signals. */
    signal(signal: unknown): void;
    isOpen(): boolean;
    /** Gives the first's number, and when each left. */
    send(parts: Parts): Promise<number[]>;
    /** When the first copy of each part came, by number; forgotten by that. */
    arrivals(): [number, number][];
    /** Messages that went into data channels since the last call, by channel and size. */
    messages(): Record<string, number>;
  };
}

/** To the other page, by way of whoever drives both. */
declare const relay: (signal: unknown) => Promise<void>;

let link: PeerLink | null = null;
let came = new Map<number, number>();
let messages: Record<string, number> = {};
/** Both pages are on one machine: by its clock. */
const nowMs = () => performance.timeOrigin + performance.now();

const names = new Map<RTCDataChannel, string>();
const original = Reflect.get(RTCDataChannel.prototype, 'send') as (bytes: ArrayBufferView) => void;
RTCDataChannel.prototype.send = function (this: RTCDataChannel, bytes: unknown) {
  const size = (bytes as Uint8Array).length;
  if (!names.has(this)) names.set(this, `channel ${names.size + 1} (${this.label.slice(0, 7)})`);
  const key = `${names.get(this)}, ${size <= LIMITS.link.pieceBytes ? 'of one packet' : 'larger'}`;
  messages[key] = (messages[key] ?? 0) + 1;
  original.call(this, bytes as ArrayBufferView);
};

let step = 0;

async function send({ ms, everyMs, bytes, copies }: Parts): Promise<number[]> {
  const count = bytes / 4;
  const data = Float32Array.from({ length: count }, (_, i) => Math.sin(i));
  const head = { kind: 'forward', term: 1, version: 1, planTag: 1, micro: 0, boundary: 0, lane: 0 } as const;
  const size = { rows: 1, columns: count, offset: 0, count, format: 'float32' } as const;
  const left: number[] = [];
  const first = step;
  const end = performance.now() + ms;
  while (performance.now() < end) {
    left.push(nowMs());
    for (let attempt = 0; attempt < copies; attempt++)
      link!.send('data', encodePart({ ...head, ...size, step, attempt }, data));
    step++;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  return [first, ...left];
}

const lossyEnd: LossyPage['lossyEnd'] = {
  open: (initiator) => {
    link = new PeerLink({
      initiator,
      iceServers: [],
      clock: browserClock,
      limits: LIMITS.link,
      stats: newStats(),
      events: {
        onSignal: (signal) => void relay(signal),
        onOpen: () => undefined,
        onClose: (reason) => console.error(reason),
        onMessage: (channel, bytes) => {
          if (channel !== 'data') return;
          const frame = decodeFrame(bytes);
          if (frame.kind === 'forward' && !came.has(frame.step)) came.set(frame.step, nowMs());
        },
        onRefused: (reason) => console.error(reason),
      },
    });
  },
  signal: (signal) => link!.signal(signal as Signal),
  isOpen: () => link?.open === true,
  send,
  arrivals: () => {
    const all = [...came];
    came = new Map();
    return all;
  },
  messages: () => {
    const all = messages;
    messages = {};
    return all;
  },
};

Object.assign(globalThis, { lossyEnd } satisfies LossyPage);
