import type { Belongings } from '../belongings.ts';
import { runCommand, type Setting } from '../command.ts';
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
    wire: lab,
    hear: async (peer) => (rig ? heardFrom(rig, peer, others(peer)) : new Map()),
    now: () => performance.now(),
    say: (message) => terminal.line(message),
  });
  return {
    // A page that is cut off has its own idea of what goes on in the room.
    rig: { ...lab.rigOptions(), follow: peers.find((peer) => !isCut(peer)) ?? 1 },
    onSnapshot: async (seen, { run }) => {
      rig = seen;
      if (run.phase === 'training') await cuts.look(run.stepsDone);
    },
    afterwards: (report) => resultText(report, cuts.records, lab.packets()),
  };
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
