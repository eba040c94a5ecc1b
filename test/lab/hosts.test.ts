import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  bridgeName,
  buildCommands,
  cutCommands,
  datagramsSent,
  dropUdp,
  freeSubnet,
  healCommands,
  hostName,
  ownerOf,
  packetsDropped,
  type LabNetwork,
} from '../../client/cli/lab/hosts.ts';
import { limitOf } from '../../client/cli/lab/processor.ts';
import { writeStarter } from '../../client/cli/lab/starter.ts';

const NETWORK: LabNetwork = { pid: 1234567, peers: 2, subnet: 4, loss: 0, bitsPerSecond: null };

/** What the filter does to a packet, for the random word. `null`: it went out of its program. */
function verdict(program: string, packet: { kind: number; protocol: number; random: number }): string | null {
  const [length, ...operations] = program.split(',');
  assert.equal(operations.length, Number(length));
  const loads: Record<number, number> = { 12: packet.kind, 23: packet.protocol, 4294963256: packet.random };
  let accumulator = 0;
  for (let at = 0; at < operations.length; at++) {
    const [code, ifTrue, ifFalse, number] = operations[at].split(' ').map(Number);
    if (code === 6) return number === 2 ? 'drop' : 'pass';
    if (code === 21) at += accumulator === number ? ifTrue : ifFalse;
    else if (code === 53) at += accumulator >= number ? ifTrue : ifFalse;
    else accumulator = loads[number];
  }
  return null;
}

describe('the hosts of a lab', () => {
  it('have names that fit an interface and tell whose they are', () => {
    for (const name of [hostName(4_194_304, 16), bridgeName(4_194_304)]) {
      assert.ok(name.length <= 15, name);
    }
    assert.equal(ownerOf(hostName(42, 16)), 42);
    assert.equal(ownerOf(bridgeName(42)), 42);
    for (const name of ['eth0', 'eplab', 'eplab42', 'xeplab42p1', 'docker0'])
      assert.equal(ownerOf(name), null);
  });

  it('take a network that this machine does not use', () => {
    assert.equal(freeSubnet(['127.0.0.1', '192.168.1.7']), 0);
    assert.equal(freeSubnet(['10.213.0.1', '10.213.1.9', '10.213.3.1', '10.2.2.1']), 2);
    assert.equal(freeSubnet(Array.from({ length: 256 }, (_, i) => `10.213.${i}.1`)), null);
  });

  it('are built one by one, each with its address, and nothing outside of the lab is touched', () => {
    const commands = buildCommands(NETWORK).map((command) => command.join(' '));
    assert.ok(commands.includes('ip -n eplab1234567p2 addr add 10.213.4.12/24 dev eth0'));
    assert.ok(commands.includes('ip -n eplab1234567p1 route add default via 10.213.4.1'));
    for (const command of commands) assert.match(command, /eplab1234567/);
    assert.ok(!commands.some((command) => /htb|bpf/.test(command)));
  });

  it('get a rate in both directions and lose packets where these enter the bridge', () => {
    const lossy = { ...NETWORK, loss: 0.1, bitsPerSecond: 20e6 };
    const commands = buildCommands(lossy).map((command) => command.join(' '));
    assert.deepEqual(
      commands.filter((command) => command.includes('p1') && /htb|bfifo|u32/.test(command)),
      ['tc -n eplab1234567p1 % dev eth0', 'tc % dev eplab1234567p1'].flatMap((place) => [
        `${place.replace('%', 'qdisc add')} root handle 1: htb`,
        `${place.replace('%', 'class add')} parent 1: classid 1:1 htb rate 20000000bit burst 25000 quantum 1514`,
        `${place.replace('%', 'qdisc add')} parent 1:1 bfifo limit 500000`,
        `${place.replace('%', 'filter add')} parent 1: protocol ip u32 match ip protocol 17 0xff flowid 1:1`,
      ]),
    );
    const filters = commands.filter((command) => command.includes('bytecode'));
    assert.deepEqual(
      filters.map((command) => /dev (\S+) (\S+)/.exec(command)!.slice(1)),
      [
        ['eplab1234567p1', 'ingress'],
        ['eplab1234567p2', 'ingress'],
      ],
    );
    assert.ok(filters.every((command) => command.endsWith(dropUdp(0.1))));
  });

  it('are cut off both ways, and healed to what they were', () => {
    const lossy = { ...NETWORK, loss: 0.1 };
    const programs = (commands: readonly (readonly string[])[]) =>
      commands.map((command) => [command[4], command[5], command.at(-1)]);
    const host = 'eplab1234567p2';
    assert.deepEqual(programs(cutCommands(lossy, 2)), [
      [host, 'ingress', '1,6 0 0 2'],
      [host, 'egress', '1,6 0 0 2'],
    ]);
    assert.deepEqual(programs(healCommands(lossy, 2)), [
      [host, 'ingress', dropUdp(0.1)],
      [host, 'egress', '1,6 0 0 0'],
    ]);
    assert.deepEqual(programs(healCommands(NETWORK, 2))[0], [host, 'ingress', '1,6 0 0 0']);
  });

  it('lose the wanted share of UDP, and nothing else', () => {
    const udp = { kind: 0x800, protocol: 17 };
    const quarter = dropUdp(0.25);
    assert.equal(verdict(quarter, { ...udp, random: 2 ** 30 - 1 }), 'drop');
    assert.equal(verdict(quarter, { ...udp, random: 2 ** 30 }), 'pass');
    assert.equal(verdict(quarter, { ...udp, protocol: 6, random: 0 }), 'pass');
    assert.equal(verdict(quarter, { ...udp, kind: 0x806, random: 0 }), 'pass');
    assert.equal(verdict(dropUdp(1), { ...udp, random: 0xfffffffe }), 'drop');
  });

  it('say how many packets they sent and lost', () => {
    const snmp =
      'Tcp: A B\nTcp: 5 6\nUdp: InDatagrams NoPorts InErrors OutDatagrams\nUdp: 1 2 3 4000\nUdpLite: In\nUdpLite: 9\n';
    assert.equal(datagramsSent(snmp), 4000);
    const queues = [
      'qdisc tbf 8005: root refcnt 3 rate 20Mbit burst 25000b lat 200ms ',
      ' Sent 1 bytes 1 pkt (dropped 7, overlimits 0 requeues 0) ',
      'qdisc clsact ffff: parent ffff:fff1 ',
      ' Sent 1 bytes 1 pkt (dropped 31, overlimits 0 requeues 0) ',
    ];
    assert.equal(packetsDropped(queues.join('\n')), 31);
    assert.equal(packetsDropped(''), 0);
  });

  it('are slowed to their share of all processors', () => {
    assert.deepEqual(limitOf(6, 2), { quotaUs: 6667, periodUs: 20_000 });
    assert.deepEqual(limitOf(1, 4), { quotaUs: 80_000, periodUs: 20_000 });
    assert.equal(limitOf(100, 1).quotaUs, 1000);
  });
});

describe('the starter of a browser', () => {
  it('passes all arguments on, and adds to those features that are off', (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'edgepipe-starter-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const chromium = join(dir, "a browser's");
    writeFileSync(chromium, '#!/bin/sh\necho $$; for arg; do echo "[$arg]"; done\n', { mode: 0o755 });
    const [file, group] = [join(dir, 'start'), join(dir, 'procs')];
    writeStarter(file, { chromium, host: null, group });
    writeFileSync(group, '');
    const { stdout } = spawnSync(file, ['--a=b c', '--disable-features=X,Y', "it's", ''], {
      encoding: 'utf8',
    });
    const [pid, ...args] = stdout.trimEnd().split('\n');
    assert.deepEqual(args, [
      '[--a=b c]',
      '[--disable-features=X,Y,WebRtcHideLocalIpsWithMdns]',
      "[it's]",
      '[]',
    ]);
    assert.equal(spawnSync('cat', [group], { encoding: 'utf8' }).stdout.trim(), pid);
  });
});
