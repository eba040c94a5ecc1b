import { LIMITS } from '../../../shared/limits.ts';

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/** What the hosts of a lab are, and what their links do to packets. Everything has the owner's process in its name. */
export interface LabNetwork {
  /** The process that made the lab. */
  pid: number;
  peers: number;
  /** The third number of all its addresses. */
  subnet: number;
  /** Share of UDP packets that the bridge drops. */
  loss: number;
  /** Of each host's UDP, each way; null: without a limit. */
  bitsPerSecond: number | null;
}

const PREFIX = 'eplab';
const NET = '10.213';
const NAME = new RegExp(`^${PREFIX}(\\d+)(?:p\\d+|br)$`);

/** The longest that an interface may be called has 15 letters: a process id has 7 at most. */
export const hostName = (pid: number, peer: number): string => `${PREFIX}${pid}p${peer}`;
export const bridgeName = (pid: number): string => `${PREFIX}${pid}br`;
export const bridgeAddress = (subnet: number): string => `${NET}.${subnet}.1`;
export const hostAddress = (subnet: number, peer: number): string => `${NET}.${subnet}.${10 + peer}`;
export const networkOf = (subnet: number): string => `${NET}.${subnet}.0/24`;

/** The process that a namespace, an interface or a group of processes was made by; null where it is of no lab. */
export function ownerOf(name: string): number | null {
  const match = NAME.exec(name);
  return match && Number(match[1]);
}

/** A third number that no address of this machine has; null where all are taken. */
export function freeSubnet(addresses: readonly string[]): number | null {
  for (let subnet = 0; subnet < 256; subnet++)
    if (!addresses.some((address) => address.startsWith(`${NET}.${subnet}.`))) return subnet;
  return null;
}

/**
 * A bridge, and for each peer a network namespace of its own that is plugged into it. What passes between peers is UDP, and only
 * that is lost and limited: page and data, which come over TCP, would only make the beginning slower.
 */
export function buildCommands(network: LabNetwork): Command[] {
  const { pid, peers, subnet, loss, bitsPerSecond } = network;
  const bridge = bridgeName(pid);
  const commands: Command[] = [
    ['ip', 'link', 'add', bridge, 'type', 'bridge'],
    ['ip', 'addr', 'add', `${bridgeAddress(subnet)}/24`, 'dev', bridge],
    ['ip', 'link', 'set', bridge, 'up'],
  ];
  for (let peer = 1; peer <= peers; peer++) {
    const host = hostName(pid, peer);
    commands.push(
      ['ip', 'netns', 'add', host],
      ['ip', 'link', 'add', host, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host],
      ['ip', 'link', 'set', host, 'master', bridge, 'up'],
      ['ip', '-n', host, 'addr', 'add', `${hostAddress(subnet, peer)}/24`, 'dev', 'eth0'],
      ['ip', '-n', host, 'link', 'set', 'lo', 'up'],
      ['ip', '-n', host, 'link', 'set', 'eth0', 'up'],
      // Without a way out, Chromium offers no address to others.
      ['ip', '-n', host, 'route', 'add', 'default', 'via', bridgeAddress(subnet)],
      ['tc', 'qdisc', 'add', 'dev', host, 'clsact'],
    );
    if (bitsPerSecond !== null) {
      commands.push(...limitCommands(['tc', '-n', host], 'eth0', bitsPerSecond));
      commands.push(...limitCommands(['tc'], host, bitsPerSecond));
    }
    if (loss > 0) commands.push(dropCommand(host, 'ingress', dropUdp(loss)));
  }
  return commands;
}

/** Nothing comes from or to the host any more, and neither it nor anybody else is told. */
export const cutCommands = ({ pid }: LabNetwork, peer: number): Command[] =>
  (['ingress', 'egress'] as const).map((way) => dropCommand(hostName(pid, peer), way, DROP_ALL));

export function healCommands({ pid, loss }: LabNetwork, peer: number): Command[] {
  const host = hostName(pid, peer);
  return [
    dropCommand(host, 'ingress', loss > 0 ? dropUdp(loss) : DROP_NOTHING),
    dropCommand(host, 'egress', DROP_NOTHING),
  ];
}

/** From a host's `/proc/net/snmp`: how many UDP packets it sent. */
export function datagramsSent(snmp: string): number {
  const [heads, values] = snmp.split('\n').filter((line) => line.startsWith('Udp:'));
  const column = heads.split(' ').indexOf('OutDatagrams');
  return Number(values.split(' ')[column]);
}

/** From `tc -s qdisc show` of a host's end at the bridge: how many packets the programs there dropped. */
export const packetsDropped = (queues: string): number =>
  Number(/qdisc clsact [^]*?\(dropped (\d+),/.exec(queues)?.[1] ?? 0);

/** A token bucket for IPv4's UDP that leaves by an interface; the rest passes beside it. */
function limitCommands(tc: Command, device: string, bitsPerSecond: number): Command[] {
  const bytes = (seconds: number) => String(Math.max(4096, Math.ceil((bitsPerSecond / 8) * seconds)));
  // What comes within a tick of the kernel's clock (at most 10 ms) has to fit, and a packet.
  const bucket = ['rate', `${bitsPerSecond}bit`, 'burst', bytes(0.01), 'quantum', '1514'];
  const queue = ['bfifo', 'limit', bytes(LIMITS.lab.queueMs / 1000)];
  const isUdp = ['u32', 'match', 'ip', 'protocol', '17', '0xff'];
  return [
    [...tc, 'qdisc', 'add', 'dev', device, 'root', 'handle', '1:', 'htb'],
    [...tc, 'class', 'add', 'dev', device, 'parent', '1:', 'classid', '1:1', 'htb', ...bucket],
    [...tc, 'qdisc', 'add', 'dev', device, 'parent', '1:1', ...queue],
    [...tc, 'filter', 'add', 'dev', device, 'parent', '1:', 'protocol', 'ip', ...isUdp, 'flowid', '1:1'],
  ];
}

/** Puts a program in the place of the one before it. */
const dropCommand = (host: string, way: 'ingress' | 'egress', program: string): Command => {
  const place = ['dev', host, way, 'pref', '1', 'handle', '1'];
  return ['tc', 'filter', 'replace', ...place, 'bpf', 'direct-action', 'bytecode', program];
};

const DROP = '6 0 0 2';
const PASS = '6 0 0 0';
const DROP_ALL = `1,${DROP}`;
const DROP_NOTHING = `1,${PASS}`;

/**
 * Classic BPF, which kernels have that lack netem, for each packet: `operation if-true if-false number`. Drops a share of IPv4's UDP.
 */
export function dropUdp(share: number): string {
  const threshold = Math.min(0xffffffff, Math.round(share * 2 ** 32));
  const program = [
    '40 0 0 12', // the kind of packet
    '21 0 5 2048', // is IPv4, or passes
    '48 0 0 23', // its protocol
    '21 0 3 17', // is UDP, or passes
    '32 0 0 4294963256', // a random word
    `53 1 0 ${threshold}`, // passes where it is not below
    DROP,
    PASS,
  ];
  return `${program.length},${program.join(',')}`;
}
