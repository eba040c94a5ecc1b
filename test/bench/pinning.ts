import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const ROOT = '/sys/fs/cgroup';
const PERIOD_US = 10_000;

/** The processors that browsers are pinned to. */
export const PROCESSORS = [0, 1] as const;

/** True where processes can be given a processor each. */
export const canPin = (): boolean =>
  process.platform === 'linux' && availableParallelism() >= PROCESSORS.length;

/** A browser on one processor, of which it gets so much of every 10 ms and no more. Needs root; gives back what ends the limit. */
export function limit(pid: number, share: number): () => void {
  const isUnified = existsSync(`${ROOT}/cgroup.controllers`);
  const group = `${ROOT}/${isUnified ? '' : 'cpu/'}edgepipe-${pid}`;
  mkdirSync(group);
  const quotaUs = Math.round(share * PERIOD_US);
  if (isUnified) writeFileSync(`${group}/cpu.max`, `${quotaUs} ${PERIOD_US}`);
  else {
    writeFileSync(`${group}/cpu.cfs_period_us`, String(PERIOD_US));
    writeFileSync(`${group}/cpu.cfs_quota_us`, String(quotaUs));
  }
  const members = [pid, ...childrenOf(pid)];
  for (const id of members) writeFileSync(`${group}/cgroup.procs`, String(id));
  return () => {
    for (const id of readFileSync(`${group}/cgroup.procs`, 'utf8').trim().split('\n').filter(Boolean))
      writeFileSync(`${ROOT}/${isUnified ? '' : 'cpu/'}cgroup.procs`, id);
    rmdirSync(group);
  };
}

/**
 * A rig whose browsers get a processor each, in turns where there are more browsers. The threads that render in software choose one by themselves when they begin, so browsers are
 * pinned twice.
 */
export const pinnedEach = {
  onBrowser: ({ pid }: { pid: number }, peer: number) => pin(pid, processorOf(peer)),
  onJoined: ({ pid }: { pid: number }, peer: number) => pin(pid, processorOf(peer)),
};

const processorOf = (peer: number): number => PROCESSORS[(peer - 1) % PROCESSORS.length];

/** A browser is many processes: its main one and all that come of it, now and later. */
export function pin(pid: number, processor: number): void {
  // A process that begins before its parent is pinned is free: looked for until there are no more.
  const pinned = new Set<number>();
  for (let next = [pid]; next.length > 0; next = childrenOf(pid).filter((id) => !pinned.has(id)))
    for (const id of next) {
      pinned.add(id);
      pinOne(id, processor);
    }
}

const PIN_ATTEMPTS = 5;

function pinOne(id: number, processor: number, attemptsLeft = PIN_ATTEMPTS): void {
  try {
    execFileSync('taskset', ['-acp', String(processor), String(id)], { stdio: 'ignore' });
  } catch (error) {
    // Of a process that has ended there may be an entry left, but no program.
    if (!existsSync(`/proc/${id}/exe`)) return;
    // A thread that ended while they were gone through makes it give up halfway.
    if (attemptsLeft === 1) throw error;
    pinOne(id, processor, attemptsLeft - 1);
  }
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
