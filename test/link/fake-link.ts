import type { Link, LinkOptions, Signal } from '../../client/link/link.ts';

const description = 'v=0\r\nm=application 9 x\r\na=fingerprint:x\r\na=ice-ufrag:';

/** A link without WebRTC: both sides open once the answer to an offer is back. What is sent goes nowhere. */
export class FakeLink implements Link {
  static all: FakeLink[] = [];
  open = false;
  closed = false;
  queuedBytes = 0;
  readonly heardAtMs = -Infinity;
  readonly isSlow = false;
  readonly options: LinkOptions;
  readonly key: string;
  /** The offer that this side answered. */
  answered = '';

  constructor(options: LinkOptions) {
    this.options = options;
    FakeLink.all.push(this);
    this.key = String(FakeLink.all.length);
    if (options.initiator) {
      options.clock.after(0, () => {
        if (!this.closed) options.events.onSignal({ type: 'offer', sdp: description + this.key });
      });
    }
    options.clock.after(options.limits.connectTimeoutMs, () => {
      if (!this.open) this.fail('too late');
    });
  }

  signal(signal: Signal): void {
    if (signal.type === 'offer') {
      this.answered = signal.sdp;
      this.options.events.onSignal({ type: 'answer', sdp: signal.sdp });
    } else if (signal.type === 'answer' && signal.sdp === description + this.key) {
      this.#opened();
      for (const link of FakeLink.all) if (link.answered === signal.sdp) link.#opened();
    }
  }

  fail(reason: string): void {
    if (this.closed) return;
    this.close();
    this.options.events.onClose(reason);
  }

  send(): boolean {
    return this.open;
  }

  whenWritable(): Promise<boolean> {
    return Promise.resolve(this.open);
  }

  close(): void {
    this.closed = true;
    this.open = false;
  }

  #opened(): void {
    if (this.closed) return;
    this.open = true;
    this.options.events.onOpen();
  }
}
