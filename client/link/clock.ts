import type { Clock } from '../ports/clock.ts';

/** Real time. Tabs of one machine share the epoch, so their traces can be laid side by side. */
export const browserClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
};
