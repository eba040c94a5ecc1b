import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** True where processes can be given a processor each. */
export const canPin = (): boolean => process.platform === 'linux' && availableParallelism() >= 2;

/** A browser is many processes: its main one and all that come of it, now and later. */
export function pin(pid: number, processor: number): void {
  for (const id of [pid, ...childrenOf(pid)])
    execFileSync('taskset', ['-acp', String(processor), String(id)], { stdio: 'ignore' });
}

function childrenOf(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It has ended meanwhile.
    }
  }
  const below = (id: number): number[] =>
    [...parents].filter(([, parent]) => parent === id).flatMap(([child]) => [child, ...below(child)]);
  return below(pid);
}
