import assert from 'node:assert/strict';
import { after } from 'node:test';
import { runConfig, type RunChoices } from '../../client/defaults.ts';
import { SwarmRig, type RigOptions } from '../../client/cli/rig.ts';
import type { RoomSnapshot } from '../../client/room.ts';
import { buildPage, removeDir } from '../../client/cli/page-build.ts';

/** One build of the page serves all rooms of a file. */
const pageDir = buildPage();
after(async () => removeDir(await pageDir));

/** Real browsers in a room, linked and settled; closed when `use` is done, whatever happens. */
export async function inRoom(
  options: RigOptions,
  use: (rig: SwarmRig, room: RoomSnapshot) => Promise<void>,
): Promise<void> {
  const rig = await SwarmRig.open({ ...options, pageDir: await pageDir });
  try {
    await use(rig, await rig.whenLinked());
  } finally {
    await rig.close();
  }
}

/** Trains to the end and gives the report. */
export async function train(rig: SwarmRig, choices: RunChoices, timeoutMs = 900_000) {
  await rig.start(runConfig({ onDeparture: 'continue', ...choices }));
  await rig.waitFor('finished', { timeoutMs });
  return rig.report();
}

export async function until(
  what: string,
  done: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await done())) {
    assert.ok(Date.now() < deadline, `${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
