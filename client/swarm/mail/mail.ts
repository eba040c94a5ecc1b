import type { PeerId } from '../../../shared/ids.ts';
import { decodeFrame, FrameError, type Frame } from '../../../shared/frames.ts';
import type { Refusals } from '../../../shared/refusals.ts';
import type { Control } from '../../../shared/schema/control.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Channel, Transport } from '../../ports/transport.ts';
import { decodeControl, encodeControl } from './wire.ts';

export interface MailHandlers {
  /** A checked message; returns why it is refused, or null. */
  onControl(from: PeerId, message: Control): string | null;
  /** The same of a frame; the handler may keep `bytes`, its own. */
  onFrame(from: PeerId, frame: Frame, bytes: Uint8Array): string | null;
  onOpen(peer: PeerId): void;
  onClose(peer: PeerId): void;
}

/** Where bytes become messages: everything that arrives is decoded, checked and handed on, or refused and counted. */
export class Mail {
  constructor(
    private readonly transport: Transport,
    private readonly clock: Clock,
    private readonly refusals: Refusals,
    private readonly handlers: MailHandlers,
  ) {}

  listen(): void {
    this.transport.listen({
      onOpen: (peer) => this.handlers.onOpen(peer),
      onClose: (peer) => this.handlers.onClose(peer),
      onMessage: (peer, channel, bytes) => this.#receive(peer, channel, bytes),
    });
  }

  /** False where there is no link. A message to this peer itself is delivered like any other. */
  send(to: PeerId, message: Control): boolean {
    if (to !== this.transport.self) return this.transport.send(to, 'control', encodeControl(message));
    this.clock.after(0, () => this.#deliver(to, message));
    return true;
  }

  #receive(from: PeerId, channel: Channel, bytes: Uint8Array): void {
    if (channel === 'data') {
      this.#receiveFrame(from, bytes);
      return;
    }
    const decoded = decodeControl(bytes);
    if ('reason' in decoded) this.refusals.add(from, decoded.reason, decoded.detail);
    else this.#deliver(from, decoded.message);
  }

  #deliver(from: PeerId, message: Control): void {
    const refused = this.handlers.onControl(from, message);
    if (refused) this.refusals.add(from, refused, message.type);
  }

  #receiveFrame(from: PeerId, bytes: Uint8Array): void {
    try {
      const refused = this.handlers.onFrame(from, decodeFrame(bytes), bytes);
      if (refused) this.refusals.add(from, refused);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.refusals.add(from, 'frame-malformed', error.message);
    }
  }
}
