import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bridgeName, hostAddress, hostName, ownerOf } from '../../client/cli/lab/hosts.ts';
import { HostNetwork, hostsProblem, removeLeftovers } from '../../client/cli/lab/network.ts';

/** What is there of a lab, by its owner. */
const remains = (pid: number): string[] =>
  ['/run/netns', '/sys/class/net', '/sys/fs/cgroup/cpu', '/sys/fs/cgroup']
    .filter(existsSync)
    .flatMap((folder) => readdirSync(folder))
    .filter((name) => ownerOf(name) === pid);

const SENDER = `
  const socket = require('node:dgram').createSocket('udp4');
  const [address, packets, atOnce] = process.argv.slice(1);
  let sent = 0;
  const next = () => {
    if (sent >= packets) socket.close();
    else socket.send('x', 5000, address, ++sent % atOnce ? next : () => setTimeout(next, 10));
  };
  next();`;
const LISTENER = `
  const socket = require('node:dgram').createSocket('udp4');
  let came = 0;
  socket.on('message', () => came++);
  const end = () => { console.log(came); socket.close(); };
  process.stdin.resume().on('end', () => setTimeout(end, 200));
  socket.bind(5000, () => console.log('ready'));`;

/**
 * How many of so many packets get from the first host to the second. A socket keeps some 270 packets that nobody has read yet: where they
 * are to be counted, fewer go at once.
 */
async function packetsThrough(network: HostNetwork, packets: number, atOnce = 20): Promise<number> {
  const on = (peer: number) => ['netns', 'exec', hostName(network.pid, peer), process.execPath, '-e'];
  const listener = spawn('ip', [...on(2), LISTENER], { stdio: ['pipe', 'pipe', 'inherit'] });
  const words: string[] = [];
  const isReady = new Promise<void>((ready) => {
    listener.stdout.setEncoding('utf8').on('data', (text: string) => {
      words.push(...text.trim().split('\n'));
      ready();
    });
  });
  const isOver = new Promise((over) => listener.once('close', over));
  await isReady;
  const args = [hostAddress(network.subnet, 2), packets, atOnce].map(String);
  spawnSync('ip', [...on(1), SENDER, ...args], { stdio: 'inherit' });
  listener.stdin.end();
  await isOver;
  return Number(words[1]);
}

describe('hosts on a bridge', { skip: hostsProblem() ?? false, timeout: 120_000 }, () => {
  it('lose what they should, can be cut off and healed, and are gone when closed', async (t) => {
    const network = HostNetwork.build({ peers: 2, loss: 0.3, bitsPerSecond: 50e6 });
    t.after(() => network.close());
    assert.ok(remains(process.pid).length >= 5);
    const came = await packetsThrough(network, 2000);
    const { sent, lost } = network.packets();
    assert.equal(sent, 2000);
    // Five standard deviations. Some more get lost while the first one asks for the other's address.
    assert.ok(Math.abs(lost - 600) < 103, String(lost));
    assert.ok(
      came <= sent - lost && came > sent - lost - 200,
      `${came} of ${sent} came, ${lost} were dropped`,
    );

    network.cut(2);
    assert.equal(await packetsThrough(network, 100), 0);
    network.heal(2);
    assert.ok((await packetsThrough(network, 100)) > 30);

    network.close();
    network.close();
    assert.deepEqual(remains(process.pid), []);
  });

  it('let no more through than their rate', async (t) => {
    const network = HostNetwork.build({ peers: 2, loss: 0, bitsPerSecond: 100e3 });
    t.after(() => network.close());
    // 86 kB at once, where 8 kB fit into bucket and queue and 12 kB pass in a second.
    const came = await packetsThrough(network, 2000, 2000);
    assert.ok(came > 20 && came < 1000, String(came));
  });

  it('that a killed lab left behind are found by name and removed, with what runs there; those of a living one stay', async (t) => {
    const living = HostNetwork.build({ peers: 1, loss: 0, bitsPerSecond: null });
    t.after(() => living.close());
    const module = fileURLToPath(new URL('../../client/cli/lab/network.ts', import.meta.url));
    const source = `
      const { spawn } = await import('node:child_process');
      const { HostNetwork } = await import(${JSON.stringify(module)});
      const network = HostNetwork.build({ peers: 1, loss: 0.1, bitsPerSecond: null });
      const browser = spawn('ip', ['netns', 'exec', 'eplab' + process.pid + 'p1', 'sleep', '600'], { detached: true, stdio: 'ignore' });
      console.log(network.subnet, browser.pid);
      setInterval(() => 0, 1000);`;
    const killed = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const said = await new Promise<string>((done) => {
      killed.stdout.setEncoding('utf8').once('data', done);
    });
    const [subnet, browser] = said.trim().split(' ').map(Number);
    assert.notEqual(subnet, living.subnet);
    assert.ok(remains(killed.pid!).includes(bridgeName(killed.pid!)));
    const isDead = new Promise((dead) => killed.once('exit', dead));
    killed.kill('SIGKILL');
    await isDead;

    const before = remains(process.pid);
    assert.ok(removeLeftovers() >= 1);
    assert.deepEqual(remains(killed.pid!), []);
    assert.ok(!existsSync(`/proc/${browser}/exe`) || isZombie(browser));
    assert.deepEqual(remains(process.pid), before);
  });
});

const isZombie = (pid: number): boolean =>
  spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
    .stdout.trim()
    .startsWith('Z');

it('hosts are refused with what to do where they cannot be made', () => {
  assert.match(hostsProblem('darwin', 501) ?? '', /only Linux has.*--relay-only/);
  assert.match(hostsProblem('linux', 1000) ?? '', /need root: sudo npm run lab.*--relay-only/);
});
