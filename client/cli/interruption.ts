import { constants } from 'node:os';
import type { Terminal } from './terminal.ts';

export interface Interruption {
  /** Aborted with the exit code. */
  signal: AbortSignal;
  /** Signals do again what they do otherwise. */
  forget: () => void;
}

const ECHO_MS = 500;

/** Ctrl+C closes everything in order; a second one does not wait. */
export function closeOnSignal(close: () => Promise<void>, terminal: Terminal): Interruption {
  const abort = new AbortController();
  let askedAt = 0;
  const interrupt = (name: NodeJS.Signals) => {
    const code = 128 + constants.signals[name];
    if (abort.signal.aborted) {
      // npm and tsx pass a signal on that this process has from the terminal already.
      if (Date.now() - askedAt > ECHO_MS) process.exit(code);
      return;
    }
    askedAt = Date.now();
    terminal.clear();
    terminal.line('Stopping the browsers and the server.');
    abort.abort(code);
    void close();
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, interrupt);
  return {
    signal: abort.signal,
    forget: () => {
      for (const name of names) process.off(name, interrupt);
    },
  };
}
