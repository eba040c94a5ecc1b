import { FlagError } from '../../shared/flags.ts';
import { BuildError } from '../../signaling/build.ts';
import { StartError } from '../../signaling/server.ts';
import { BrowserError } from './chromium.ts';
import { BrowserRooms } from './experiment/browser-rooms.ts';
import { EXPERIMENT_HELP, parseExperimentOptions, type ExperimentOptions } from './experiment/options.ts';
import { Store } from './experiment/store.ts';
import { Volatility } from './experiment/volatility.ts';
import { closeOnSignal } from './interruption.ts';
import { PeerPageError } from './peer-page.ts';
import { RigError } from './rig-error.ts';
import { Terminal } from './terminal.ts';
import { TimeoutError } from './wait.ts';

/** Failures whose message is meant for people; anything else is a defect and keeps its stack. */
const EXPLAINED = [BrowserError, BuildError, PeerPageError, RigError, StartError, TimeoutError];

async function main({ settings, out, browser }: ExperimentOptions): Promise<number> {
  const terminal = new Terminal(process.stdout);
  const rooms = new BrowserRooms(settings, browser);
  const experiment = new Volatility(settings, new Store(out, settings), terminal, () => rooms.open());
  const close = () => {
    experiment.stop();
    return rooms.close();
  };
  const interruption = closeOnSignal(close, terminal);
  try {
    await experiment.run();
    return 0;
  } catch (error) {
    terminal.clear();
    const isInterrupted = interruption.signal.aborted;
    if (!isInterrupted) {
      const isExplained = EXPLAINED.some((kind) => error instanceof kind);
      console.error(isExplained ? (error as Error).message : error);
    }
    terminal.line(`What is done is kept in ${out}: the same command goes on from there.`);
    return isInterrupted ? (interruption.signal.reason as number) : 1;
  } finally {
    await close();
    interruption.forget();
  }
}

try {
  const options = parseExperimentOptions(process.argv.slice(2));
  if (options.help) console.log(EXPERIMENT_HELP);
  else process.exitCode = await main(options);
} catch (error) {
  if (!(error instanceof FlagError)) throw error;
  console.error(`${error.message} All flags: npm run experiment -- --help`);
  process.exitCode = 2;
}
