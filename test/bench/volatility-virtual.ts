import type { Settings } from '../../client/cli/experiment/grid.ts';
import { parseExperimentOptions } from '../../client/cli/experiment/options.ts';
import { Store } from '../../client/cli/experiment/store.ts';
import { Volatility } from '../../client/cli/experiment/volatility.ts';
import { Terminal } from '../../client/cli/terminal.ts';
import { FlagError } from '../../shared/flags.ts';
import { mnist } from './mnist.ts';
import { SimulatedRoom } from './simulated-room.ts';

/**
 * `npm run experiment -- volatility` on virtual time: the same runs, judged in the same way, by the same engine on emulated devices and
 * links, where no processor of this machine decides. Real browsers have the last word; this gives more seeds than they have time for.
 *
 *   node --import tsx test/bench/volatility-virtual.ts --out DIR [--part 1/2] [flags of the experiment]
 *
 * `--part 1/2`: every second run, from the first; processes that share DIR do all of them between them, and the command without it then
 * makes the tables. What was interrupted goes on.
 */
const EXAMPLE = '--part 1/2';

function readPart(text: string): (run: number) => boolean {
  const [part, parts] = /^(\d+)\/(\d+)$/.exec(text)?.slice(1).map(Number) ?? [];
  if (!(part >= 1 && part <= parts))
    throw new FlagError(`--part wants something like ${EXAMPLE}, not "${text}".`);
  return (run) => run % parts === part - 1;
}

const args = process.argv.slice(2);
const at = args.indexOf('--part');
const isOurs = at < 0 ? undefined : readPart(args.splice(at, 2)[1] ?? '');
if (!args.includes('--out')) throw new FlagError('Say where results go: --out DIR.');
const { settings: chosen, out } = parseExperimentOptions(['volatility', ...args, '--rooms', '1']);
const settings: Settings = { ...chosen, runsIn: 'simulation' };
const data = mnist();
const open = () => Promise.resolve(new SimulatedRoom(data, settings.deviceMs));
await new Volatility(settings, new Store(out, settings), new Terminal(process.stdout), open, isOurs).run();
