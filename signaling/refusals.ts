/** What was refused: the event and the reason, such as `join:room-full`. A fixed set, so the counters are bounded. */
export type Refusal =
  | 'connect:cross-origin'
  | 'connect:server-full'
  | 'connect:no-join'
  | 'connect:too-large'
  | `join:${'room-full' | 'server-full' | 'wrong-version' | 'bad-request' | 'id-taken' | 'too-many-requests'}`
  | `signal:${'bad-request' | 'not-in-room' | 'unknown-peer' | 'too-many-requests' | 'receiver-busy'}`
  | `leave:${'not-in-room' | 'too-many-requests'}`
  | 'other:unknown-event'
  | 'other:server-error';

/** Counts refusals by reason. */
export class Refusals {
  readonly #counts = new Map<Refusal, number>();

  count(refusal: Refusal): void {
    this.#counts.set(refusal, (this.#counts.get(refusal) ?? 0) + 1);
  }

  toJSON(): Partial<Record<Refusal, number>> {
    return Object.fromEntries(this.#counts);
  }
}
