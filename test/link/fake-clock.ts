import type { Cancel, Clock } from '../../client/ports/clock.ts';

/** Virtual time: nothing happens until `advance`. */
export class FakeClock implements Clock {
  #now = 0;
  #timers: { due: number; action: () => void }[] = [];

  get pending(): number {
    return this.#timers.length;
  }

  now(): number {
    return this.#now;
  }

  after(delayMs: number, action: () => void): Cancel {
    const timer = { due: this.#now + delayMs, action };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.due <= end).sort((a, b) => a.due - b.due);
      if (due.length === 0) break;
      const [next] = due;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.due);
      next.action();
    }
    this.#now = end;
  }
}

/** Real time that counts what is still set. */
export class CountingClock implements Clock {
  pending = 0;

  now(): number {
    return performance.now();
  }

  after(delayMs: number, action: () => void): Cancel {
    this.pending++;
    let live = true;
    const end = (): boolean => {
      if (!live) return false;
      live = false;
      this.pending--;
      return true;
    };
    const timer = setTimeout(() => {
      if (end()) action();
    }, delayMs);
    return () => {
      if (end()) clearTimeout(timer);
    };
  }
}
