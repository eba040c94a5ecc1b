import { LIMITS } from '../../../shared/limits.ts';
import { SWARM_HELP } from '../swarm-help.ts';
import { PROFILE_NAMES } from './options.ts';

/** What the lab has of its own: its peers have a browser each anyway, and no phone can come to its bridge. */
const NOT_HERE = /^ {2}--(?:isolate|watch) .*\n/gm;
const [, swarmFlags] = SWARM_HELP.replaceAll(NOT_HERE, '').split('-- [flags]\n\n');

export const LAB_HELP = `Trains as \`npm run swarm\` does, but each browser is on a host of its own, and the network between them is bad.

  npm run lab -- [flags]

Hosts are network namespaces on a bridge: they need root on Linux, and the programs ip and tc. Latency and losses in bursts come from
a relay between them. All that is lost, slowed and limited is UDP, what passes between peers; page and data come over TCP and are spared.

  --loss P             percent of packets that are lost (0)
  --loss-burst N       how many are lost in a row, in the mean, by --seed (each for itself)
  --rate R             of each host, each way: 20mbit, 500kbit (no limit)
  --latency MS         one way, up to ${LIMITS.lab.latencyMs} (0)
  --latency-jitter MS  the latency varies by so much, either way (0)
  --slow N             gives each host one N-th of this machine's processors (1)
  --profile P          ${PROFILE_NAMES.join(', ')}: --slow 6 --rate 1200kbit (150 kB/s) --latency 40 --loss 2, where these are not given
  --cut-link P@S:SEC   nothing comes from or to a peer for so many seconds from a step on: 3@200:20; or
                       from or to whoever coordinates then: coordinator@200:20
  --relay-only         no hosts and no root: browsers on this machine, and the relay does it all, by --seed

and those of the swarm command:

${swarmFlags}`;
