import type { Belongings } from '../belongings.ts';
import { runCommand, type Setting } from '../command.ts';
import type { RoomSnapshot } from '../../room.ts';
import type { SwarmRig } from '../rig.ts';
import type { Terminal } from '../terminal.ts';
import { Cuts, type Heard } from './cuts.ts';
import { LAB_HELP } from './help.ts';
import { Lab } from './lab.ts';
import { parseLabOptions, type LabOptions } from './options.ts';
import { labText, resultText } from './text.ts';

async function prepare(options: LabOptions, belongings: Belongings, terminal: Terminal): Promise<Setting> {
  const { swarm, cuts: wanted } = options;
  const lab = await belongings.hold(
    Lab.open(options, (message) => terminal.line(message)),
    (opened) => opened.close(),
  );
  terminal.lines([...labText(options, lab.subnet), '']);
  const peers = Array.from({ length: swarm.peers }, (_, i) => i + 1);
  const isCut = (peer: number) => wanted.some((cut) => cut.peer === peer);
  let rig: SwarmRig | null = null;
  const others = (peer: number) => peers.filter((other) => other !== peer);
  const cuts = new Cuts(wanted, {
    others,
    wire: {
      cut: (peer) => {
        lab.cut(peer);
        // A page that is cut off has its own idea of what goes on in the room.
        rig?.turnTo(others(peer)[0]);
      },
      heal: (peer) => lab.heal(peer),
    },
    hear: async (peer) => (rig ? heardFrom(rig, peer, others(peer)) : new Map()),
    now: () => performance.now(),
    say: (message) => terminal.line(message),
  });
  return {
    rig: { ...lab.rigOptions(), follow: peers.find((peer) => !isCut(peer)) ?? 1 },
    onSnapshot: async (seen, room) => {
      rig = seen;
      if (room.run.phase === 'training') await cuts.look(room.run.stepsDone, coordinatorOf(seen, room));
    },
    afterwards: (report) => resultText(report, cuts.records, lab.packets()),
  };
}

/** The number of the peer that coordinates; null where there is none at the moment. */
function coordinatorOf({ peers }: SwarmRig, room: RoomSnapshot): number | null {
  const name = room.peers.find(({ isCoordinator }) => isCoordinator)?.name;
  const index = peers.findIndex((page) => page.name === name);
  return index < 0 ? null : index + 1;
}

/** How much each other peer got from that one, where their link is open. */
async function heardFrom(rig: SwarmRig, peer: number, others: readonly number[]): Promise<Heard> {
  const heard = new Map<number, number>();
  for (const other of others) {
    const page = rig.peers[other - 1];
    const room = await page.snapshot().catch(() => null);
    const entry = room?.roster.find(({ name }) => name === rig.peers[peer - 1].name);
    if (entry?.link === 'open') heard.set(other, entry.stats.messagesReceived);
  }
  return heard;
}

const parsed = parseLabOptions(process.argv.slice(2));
if (!parsed.ok) {
  console.error(parsed.message);
  process.exitCode = 2;
} else if (parsed.options.swarm.help) {
  console.log(LAB_HELP);
} else {
  const { options } = parsed;
  process.exitCode = await runCommand(options.swarm, (belongings, terminal) =>
    prepare(options, belongings, terminal),
  );
}
