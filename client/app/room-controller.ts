import type { ReactiveController, ReactiveControllerHost } from 'lit';
import type { Room, RoomSnapshot } from '../room.ts';

/** What the page uses of a room; tests put a fake in its place. */
export type RoomLike = Pick<
  Room,
  | 'code'
  | 'snapshot'
  | 'onChange'
  | 'start'
  | 'stop'
  | 'goOn'
  | 'replan'
  | 'steps'
  | 'report'
  | 'saveModel'
  | 'leave'
>;

/** It looks at the room at most this often. */
const INTERVAL_MS = 250;
/** The page shares its processor with training, of which four looks a second took 5%. */
const TRAINING_INTERVAL_MS = 1000;
/** Hidden tabs get no animation frames, yet a person who looks again should see the present. */
const FRAME_PATIENCE_MS = 200;

/** Keeps a host's view of a room fresh: at animation frames, at most four times a second, while training once. */
export class RoomController implements ReactiveController {
  snapshot: RoomSnapshot | null = null;
  #room: RoomLike | null = null;
  #unsubscribe: (() => void) | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #frame: number | null = null;
  #seenAtMs = -Infinity;

  constructor(private readonly host: ReactiveControllerHost) {
    host.addController(this);
  }

  /** Watches this room from now on. */
  watch(room: RoomLike): void {
    if (room === this.#room) return;
    this.hostDisconnected();
    this.#room = room;
    this.#subscribe();
  }

  hostConnected(): void {
    this.#subscribe();
  }

  hostDisconnected(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = null;
    this.#cancel();
  }

  #subscribe(): void {
    if (!this.#room || this.#unsubscribe) return;
    this.#unsubscribe = this.#room.onChange(() => this.#changed());
    this.snapshot = this.#room.snapshot();
    this.host.requestUpdate();
  }

  #changed(): void {
    if (this.#timer !== null) return;
    const isTraining = this.snapshot?.run.phase === 'training';
    const interval = isTraining ? TRAINING_INTERVAL_MS : INTERVAL_MS;
    const wait = Math.max(0, this.#seenAtMs + interval - performance.now());
    this.#timer = setTimeout(() => this.#onTime(), wait);
  }

  #onTime(): void {
    this.#frame = requestAnimationFrame(() => this.#look());
    this.#timer = setTimeout(() => this.#look(), FRAME_PATIENCE_MS);
  }

  #look(): void {
    this.#cancel();
    if (!this.#room) return;
    this.#seenAtMs = performance.now();
    this.snapshot = this.#room.snapshot();
    this.host.requestUpdate();
  }

  #cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#timer = null;
    this.#frame = null;
  }
}
