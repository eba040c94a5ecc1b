import type { Clock } from '../ports/clock.ts';

/** Real time, since 1970. */
export const browserClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
};
