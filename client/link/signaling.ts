import type { PeerId } from '../../shared/ids.ts';
import type { Member } from '../../shared/schema/signal.ts';

/** What the signaling server tells about the room. */
export interface SignalingEvents {
  /** After joining and after every re-joining: the other members, as the server knows them now. */
  onRoster(others: Member[]): void;
  onJoined(member: Member): void;
  /** The server lost this member's socket. Its links may well be alive. */
  onLeft(peer: PeerId): void;
  onSignal(from: PeerId, data: string): void;
}

/** The way to the other members before there is a link. */
export interface Signaling {
  readonly self: Member;
  /** One listener, set before joining. */
  listen(events: SignalingEvents): void;
  /** False where the server cannot be reached now or refuses the size. */
  signal(to: PeerId, data: string): boolean;
}
