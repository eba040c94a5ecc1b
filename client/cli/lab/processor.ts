import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { LIMITS } from '../../../shared/limits.ts';
import { LabError } from './lab-error.ts';

/** Where groups of processes get a limit: the first and the second version of Linux's control groups. */
const FIRST = '/sys/fs/cgroup/cpu';
const SECOND = '/sys/fs/cgroup';

/** The folders that hold groups on this machine. */
export const groupFolders = (): string[] => [FIRST, SECOND].filter((folder) => existsSync(folder));

/** What is written to limit a group to one `slow`-th of all processors. */
export function limitOf(slow: number, processors: number): { quotaUs: number; periodUs: number } {
  const periodUs = LIMITS.lab.processorSliceUs;
  // The kernel refuses less than 1 ms.
  return { quotaUs: Math.max(1_000, Math.round((periodUs * processors) / slow)), periodUs };
}

/** Makes a group of that name and gives the file that a process writes its number into to be slowed. */
export function openSlowGroup(name: string, slow: number): string {
  const { quotaUs, periodUs } = limitOf(slow, cpus().length);
  try {
    if (existsSync(join(FIRST, 'cpu.cfs_quota_us'))) {
      const group = join(FIRST, name);
      mkdirSync(group);
      writeFileSync(join(group, 'cpu.cfs_period_us'), String(periodUs));
      writeFileSync(join(group, 'cpu.cfs_quota_us'), String(quotaUs));
      return join(group, 'cgroup.procs');
    }
    if (readFileSync(join(SECOND, 'cgroup.controllers'), 'utf8').split(/\s+/).includes('cpu')) {
      writeFileSync(join(SECOND, 'cgroup.subtree_control'), '+cpu');
      const group = join(SECOND, name);
      mkdirSync(group);
      writeFileSync(join(group, 'cpu.max'), `${quotaUs} ${periodUs}`);
      return join(group, 'cgroup.procs');
    }
  } catch (error) {
    throw new LabError(
      `Processors cannot be slowed here: ${error instanceof Error ? error.message : String(error)}. ${REMEDY}`,
    );
  }
  throw new LabError(
    `Processors cannot be slowed here: this kernel has no control groups for them. ${REMEDY}`,
  );
}

const REMEDY = 'Leave out the slowing (--slow 1).';
