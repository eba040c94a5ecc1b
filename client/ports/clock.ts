/** Stops what was set; stopping twice is harmless. */
export type Cancel = () => void;

/** Time as the engine sees it: real in browsers, virtual in the simulation. */
export interface Clock {
  /** Milliseconds on a clock that never goes back; its epoch is its own. */
  now(): number;
  /** Calls `action` once, `delayMs` from now. */
  after(delayMs: number, action: () => void): Cancel;
}
