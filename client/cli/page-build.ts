import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from '../../signaling/build.ts';

const built = new Set<string>();

// Somebody may not wait for things to be closed in order.
process.once('exit', () => {
  for (const dir of built) rmSync(dir, { recursive: true, force: true });
});

/**
 * Builds the page into a directory of its own, so that runs side by side do not disturb each other. Whoever asked for
 * it removes it with `removeDir`; otherwise it goes when the process exits.
 */
export async function buildPage(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'edgepipe-page-'));
  built.add(dir);
  try {
    await build({ outdir: dir });
    return dir;
  } catch (error) {
    await removeDir(dir);
    throw error;
  }
}

export async function removeDir(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true });
  built.delete(dir);
}
