const TRIES = 20;
const PAUSE_MS = 50;

/** Processes that were ended take a moment to go, and until then what they use cannot be removed. Waits for them; gives up silently. */
export function patiently(remove: () => void): void {
  for (let tried = 0; tried < TRIES; tried++) {
    try {
      remove();
      return;
    } catch {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}
