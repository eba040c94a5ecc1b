import type { RunConfig } from '../../../shared/schema/config.ts';
import type { PeerReport, Phase } from '../../../shared/schema/control.ts';
import type { Report } from '../../../shared/schema/report.ts';
import type { LayerState } from '../../ports/compute.ts';
import type { RunView } from '../../swarm/record/snapshot.ts';

/** A room seen now and then while it trains. */
export interface Look {
  run: Pick<RunView, 'phase' | 'last' | 'message'>;
}

export interface LookOptions {
  timeoutMs: number;
  /** Hears every look at the room. */
  onSnapshot?: (look: Look) => void | Promise<void>;
}

/** A room that is linked up and trains one run after the other: real browsers, or the simulation on virtual time. */
export interface TrainingRoom {
  /** The time by which its runs are judged. */
  nowMs(): number;
  start(config: RunConfig): Promise<void>;
  /** Looks at the room until `isDone`. Rejects where that takes too long. */
  follow(isDone: (look: Look) => boolean, options: LookOptions): Promise<Look>;
  /** Waits until the run is in that phase. Rejects where it fails instead. */
  waitFor(phase: Phase, options: LookOptions): Promise<Look>;
  snapshot(): Promise<Look>;
  /** The weights of all blocks as they are now, while training goes on. */
  weights(): Promise<LayerState[]>;
  /** Parts that peers sent and used under the plan so far. */
  traffic(): Promise<PeerReport['traffic']>;
  /** Ends training at the step it has reached; the model is tested as it is. */
  stop(): Promise<void>;
  report(): Promise<Report>;
  close(): Promise<void>;
}
