import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { groupFolders } from './processor.ts';
import {
  bridgeName,
  buildCommands,
  cutCommands,
  freeSubnet,
  healCommands,
  datagramsSent,
  hostName,
  ownerOf,
  packetsDropped,
  type Command,
  type LabNetwork,
} from './hosts.ts';
import { LabError } from './lab-error.ts';
import { patiently } from './patiently.ts';

const NAMESPACES = '/run/netns';
const INTERFACES = '/sys/class/net';

/** Why hosts cannot be made here, and what to do; null where they can. */
export function hostsProblem(
  platform: NodeJS.Platform = process.platform,
  user: number | undefined = process.getuid?.(),
): string | null {
  const instead = 'With --relay-only the lab works without hosts of their own.';
  if (platform !== 'linux')
    return `Hosts of their own are network namespaces, which only Linux has. ${instead}`;
  if (user !== 0)
    return `Hosts of their own need root: sudo npm run lab -- ... (as root in a container, it needs NET_ADMIN and SYS_ADMIN). ${instead}`;
  for (const program of ['ip', 'tc'])
    if (spawnSync(program, ['-V']).error)
      return `Hosts of their own need the program ${program}: apt-get install iproute2. ${instead}`;
  const name = `eplab${process.pid}p0`;
  const made = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (made.status !== 0)
    return `This machine lets nobody make network namespaces (${made.stderr.trim()}). ${instead}`;
  run(['ip', 'netns', 'del', name]);
  return null;
}

/** The hosts of a lab, while it lasts: made at once, and removed at the end of the process at the latest. */
export class HostNetwork {
  readonly #network: LabNetwork;
  readonly #remove = () => removeLab(this.#network.pid);

  private constructor(network: LabNetwork) {
    this.#network = network;
    process.once('exit', this.#remove);
  }

  static build(wanted: Pick<LabNetwork, 'peers' | 'loss' | 'bitsPerSecond'>): HostNetwork {
    const addresses = Object.values(networkInterfaces()).flatMap((all) =>
      (all ?? []).map(({ address }) => address),
    );
    const subnet = freeSubnet(addresses);
    if (subnet === null) throw new LabError('There is no network left for another lab: close one.');
    const network = new HostNetwork({ ...wanted, pid: process.pid, subnet });
    try {
      for (const command of buildCommands(network.#network)) run(command);
    } catch (error) {
      network.close();
      throw error;
    }
    return network;
  }

  get pid(): number {
    return this.#network.pid;
  }

  get subnet(): number {
    return this.#network.subnet;
  }

  cut(peer: number): void {
    for (const command of cutCommands(this.#network, peer)) run(command);
  }

  heal(peer: number): void {
    for (const command of healCommands(this.#network, peer)) run(command);
  }

  /** UDP packets that all hosts sent so far, and how many packets the bridge dropped. */
  packets(): { sent: number; lost: number } {
    const { pid, peers } = this.#network;
    const hosts = Array.from({ length: peers }, (_, i) => hostName(pid, i + 1));
    const sent = hosts.map((host) =>
      datagramsSent(ask('ip', 'netns', 'exec', host, 'cat', '/proc/net/snmp')),
    );
    const lost = hosts.map((host) => packetsDropped(ask('tc', '-s', 'qdisc', 'show', 'dev', host)));
    return { sent: sum(sent), lost: sum(lost) };
  }

  /** Removes the hosts and whatever still runs on them. Closing twice is harmless. */
  close(): void {
    process.off('exit', this.#remove);
    this.#remove();
  }
}

/** Removes hosts of labs whose process is gone. Gives how many labs those were. */
export function removeLeftovers(): number {
  const names = [...namesIn(NAMESPACES), ...namesIn(INTERFACES), ...groupFolders().flatMap(namesIn)];
  const owners = new Set(names.map(ownerOf).filter((pid) => pid !== null));
  const left = [...owners].filter((pid) => !existsSync(`/proc/${pid}`));
  for (const pid of left) removeLab(pid);
  return left.length;
}

/** Whatever a lab made, in whatever state it is. */
function removeLab(pid: number): void {
  const isOfLab = (name: string) => ownerOf(name) === pid;
  for (const namespace of namesIn(NAMESPACES).filter(isOfLab)) endProcesses(namespace);
  const links = namesIn(INTERFACES).filter((name) => isOfLab(name) && name !== bridgeName(pid));
  // The links first: those of a namespace go only when its last process has, some time later.
  for (const link of links) spawnSync('ip', ['link', 'del', link]);
  spawnSync('ip', ['link', 'del', bridgeName(pid)]);
  for (const namespace of namesIn(NAMESPACES).filter(isOfLab)) spawnSync('ip', ['netns', 'del', namespace]);
  for (const folder of groupFolders()) {
    for (const group of namesIn(folder).filter(isOfLab)) patiently(() => rmdirSync(join(folder, group)));
  }
}

/** Only a browser of the lab, and what it started, runs in a namespace of the lab. */
function endProcesses(namespace: string): void {
  for (const pid of ask('ip', 'netns', 'pids', namespace)
    .split('\n')
    .filter((line) => line !== '')) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It is gone already.
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** What a program says; nothing where it fails. */
const ask = (...[program, ...args]: Command): string => spawnSync(program, args, { encoding: 'utf8' }).stdout;

function run([program, ...args]: Command): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status === 0) return;
  const why = error ? error.message : stderr.trim().split('\n').join('; ');
  throw new LabError(
    `This machine cannot build the lab: ${program} ${args.join(' ')} failed (${why}). ` +
      'It needs root on Linux with bridges, veth, htb and BPF filters; without them: --relay-only.',
  );
}
