import { Inbox } from '../../client/pipeline/inbox.ts';
import type { BoundaryView } from '../../client/pipeline/assignment.ts';
import { Outbox } from '../../client/pipeline/outbox.ts';
import { Traffic } from '../../client/pipeline/traffic.ts';
import { browserClock } from '../../client/link/clock.ts';
import { newStats, type Signal } from '../../client/link/link.ts';
import { PeerLink } from '../../client/link/peer-link.ts';
import type { Transport } from '../../client/ports/transport.ts';
import { decodeFrame } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';
import { releaseNumbers } from '../../shared/number-pool.ts';
import type { Plan } from '../../shared/schema/plan.ts';

/** For automation: one end of a link of the project and of a bare data channel beside it. */
export interface WirePage {
  wireEnd: {
    open(initiator: boolean): Promise<void>;
    /** What the other end signals. */
    signal(of: 'link' | 'bare', signal: unknown): Promise<void>;
    isOpen(): boolean;
    sendParts(ms: number): Promise<void>;
    sendBare(ms: number, messageBytes: number): Promise<void>;
    /** Bytes of numbers a second since the last call, from the first message on. */
    goodput(): number;
  };
}

/** To the other page, by way of whoever drives both. */
declare const relay: (of: 'link' | 'bare', signal: unknown) => Promise<void>;

const [ME, OTHER] = ['p000000001', 'p000000002'];
const ROWS = 128;
const COLUMNS = 512;
const HIGH_WATER_BYTES = 1024 * 1024;
const LOW_WATER_BYTES = 256 * 1024;

const boundaryTo = (peer: string): BoundaryView => ({
  index: 0,
  shape: { space: 0, outer: 1, units: COLUMNS, inner: 1 } as BoundaryView['shape'],
  held: [0, COLUMNS],
  ends: [{ peer, lane: 0, range: [0, COLUMNS] }],
});

let link: PeerLink | null = null;
let bare: RTCPeerConnection | null = null;
let channel: RTCDataChannel | null = null;
/** What came: bytes of numbers, and when. */
let came = { bytes: 0, firstMs: 0, lastMs: 0 };

function received(bytes: number): void {
  const now = performance.now();
  // What the first message carried came before the clock ran.
  if (came.firstMs === 0) came.firstMs = now;
  else came.bytes += bytes;
  came.lastMs = now;
}

const inbox = new Inbox({
  kind: 'forward',
  boundary: boundaryTo(OTHER),
  format: 'float32',
  rows: () => ROWS,
  micros: 1,
  window: () => [0, LIMITS.run.steps],
});

function onMessage(bytes: Uint8Array): void {
  const frame = decodeFrame(bytes);
  if (frame.kind !== 'forward') throw new Error(`A frame of kind ${frame.kind} came.`);
  const refused = inbox.add(OTHER, frame);
  if (refused) throw new Error(refused);
  if (!inbox.has(frame.step, 0)) return;
  const { data } = inbox.take(frame.step, 0);
  received(4 * data.length);
  // As in training, where what came in is used again for what goes out.
  releaseNumbers(data);
}

const transport = (to: PeerLink): Transport => ({
  self: ME,
  listen: () => undefined,
  peers: () => [OTHER],
  send: (_peer, way, bytes) => to.send(way, bytes),
  whenWritable: () => to.whenWritable(),
  stats: newStats,
  close: () => to.close(),
});

function openLink(initiator: boolean): void {
  link = new PeerLink({
    initiator,
    iceServers: [],
    clock: browserClock,
    limits: LIMITS.link,
    stats: newStats(),
    events: {
      onSignal: (signal) => void relay('link', signal),
      onOpen: () => undefined,
      onClose: (reason) => console.error(reason),
      onMessage: (_channel, bytes) => onMessage(bytes),
      onRefused: (reason) => console.error(reason),
    },
  });
}

async function openBare(initiator: boolean): Promise<void> {
  bare = new RTCPeerConnection();
  channel = bare.createDataChannel('bare', { negotiated: true, id: 0, ordered: false });
  channel.binaryType = 'arraybuffer';
  channel.bufferedAmountLowThreshold = LOW_WATER_BYTES;
  channel.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => received(data.byteLength);
  bare.onicecandidate = ({ candidate }) => {
    if (candidate) void relay('bare', { candidate: candidate.toJSON() });
  };
  if (!initiator) return;
  await bare.setLocalDescription();
  await relay('bare', { description: bare.localDescription!.toJSON() as unknown });
}

async function signalBare(signal: {
  candidate?: RTCIceCandidateInit;
  description?: RTCSessionDescriptionInit;
}): Promise<void> {
  if (!bare) throw new Error('Not open yet.');
  if (signal.candidate) await bare.addIceCandidate(signal.candidate);
  if (!signal.description) return;
  await bare.setRemoteDescription(signal.description);
  if (signal.description.type !== 'offer') return;
  await bare.setLocalDescription();
  await relay('bare', { description: bare.localDescription!.toJSON() as unknown });
}

let step = 0;

async function sendParts(ms: number): Promise<void> {
  const plan = { term: { counter: 1, peer: ME }, version: 1, run: 1 } as Plan;
  const outbox = new Outbox(transport(link!), plan, 0, 'float32', new Traffic(), () => undefined);
  const boundary = boundaryTo(OTHER);
  const data = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => Math.sin(i));
  const end = performance.now() + ms;
  while (performance.now() < end) {
    const departure = { kind: 'forward' as const, boundary, ends: boundary.ends, step: step++, micro: 0 };
    if ((await outbox.send({ ...departure, rows: ROWS, data })).length > 0)
      throw new Error('The link broke.');
  }
}

async function sendBare(ms: number, messageBytes: number): Promise<void> {
  const message = new Uint8Array(messageBytes);
  const end = performance.now() + ms;
  while (performance.now() < end) {
    while (channel!.bufferedAmount < HIGH_WATER_BYTES) channel!.send(message);
    await new Promise((resolve) => {
      channel!.addEventListener('bufferedamountlow', resolve, { once: true });
    });
  }
}

const wireEnd: WirePage['wireEnd'] = {
  open: async (initiator) => {
    openLink(initiator);
    await openBare(initiator);
  },
  signal: (of, signal) => {
    if (of === 'bare') return signalBare(signal as Parameters<typeof signalBare>[0]);
    link!.signal(signal as Signal);
    return Promise.resolve();
  },
  isOpen: () => link?.open === true && channel?.readyState === 'open',
  sendParts,
  sendBare,
  goodput: () => {
    const perSecond = (1000 * came.bytes) / (came.lastMs - came.firstMs);
    came = { bytes: 0, firstMs: 0, lastMs: 0 };
    return perSecond;
  },
};

Object.assign(globalThis, { wireEnd } satisfies WirePage);
