import { runCommand } from './command.ts';
import { SWARM_HELP } from './swarm-help.ts';
import { parseSwarmOptions } from './swarm-options.ts';

const parsed = parseSwarmOptions(process.argv.slice(2));
if (!parsed.ok) {
  console.error(parsed.message);
  process.exitCode = 2;
} else if (parsed.options.help) {
  console.log(SWARM_HELP);
} else {
  process.exitCode = await runCommand(parsed.options, () => Promise.resolve({}));
}
