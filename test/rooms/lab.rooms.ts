import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ownerOf } from '../../client/cli/lab/hosts.ts';
import { hostsProblem } from '../../client/cli/lab/network.ts';
import type { Report } from '../../shared/schema/report.ts';

const dir = mkdtempSync(join(tmpdir(), 'edgepipe-lab-test-'));
after(() => rmSync(dir, { recursive: true, force: true }));

const RUN =
  '--peers 2 --model mlp:16 --grid 2x1 --rule deadline --batch 512 --micro-batches 2 --seed 3'.split(' ');

/** The lab as a command; `onText` hears what it has said so far. */
async function lab(
  line: string,
  onText: (text: string, stop: (signal: NodeJS.Signals) => void) => void = () => undefined,
) {
  const main = ['--import', 'tsx', 'client/cli/lab/main.ts', ...RUN, ...line.split(' ')];
  const child = spawn(process.execPath, main, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: dir },
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more;
    onText(text, (signal) => child.kill(signal));
  });
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, text, left: remains(child.pid!) };
}

/** Whatever is still there of that process's lab: hosts, a bridge, groups, files. */
function remains(pid: number): string[] {
  const folders = ['/run/netns', '/sys/class/net', '/sys/fs/cgroup/cpu', '/sys/fs/cgroup'].filter(existsSync);
  const names = folders.flatMap((folder) => readdirSync(folder)).filter((name) => ownerOf(name) === pid);
  return [...names, ...readdirSync(dir).filter((name) => name.endsWith(`-${pid}`))];
}

describe('the lab', { skip: hostsProblem() ?? false }, () => {
  it('trains on hosts of its own over links that lose packets and are cut, and leaves nothing behind', async () => {
    const report = join(dir, 'report.json');
    const { code, text, left } = await lab(
      `--loss 5 --rate 50mbit --latency 2 --cut-link 2@20:0.5 --steps 60 --report ${report}`,
    );
    assert.equal(code, 0, text);
    assert.deepEqual(left, []);
    assert.match(
      text,
      /^Lab: 2 hosts on 10\.213\.\d+\.0\/24, a relay between them; 5\.0% of UDP packets lost/m,
    );
    const [, sent, lost] = /^Packets +([\d,]+) sent, ([\d,]+) lost on purpose/m
      .exec(text)!
      .map((number) => Number(number.replaceAll(',', '')));
    assert.ok(sent > 500 && lost > 0.02 * sent && lost < 0.3 * sent, `${lost} of ${sent}`);
    assert.match(text, /^Cut of peer 2 +at step \d+ for 0\.\d s; longest pause/m);
    const { steps, peers, micro_batches } = JSON.parse(readFileSync(report, 'utf8')) as Report;
    assert.equal(peers.length, 2);
    // While the link is cut, the head may end a step for which nothing came: each costs it two micro-batches.
    const unheard = 60 - steps.length;
    assert.ok(
      unheard >= 0 && unheard <= 10 && 2 * unheard <= micro_batches.skipped,
      `${unheard} steps without a loss, ${micro_batches.skipped} micro-batches skipped`,
    );
  });

  it('is removed where it is interrupted', async () => {
    const { code, left } = await lab('--loss 5 --steps 5000', (text, stop) => {
      if (text.includes(' coordinates')) stop('SIGTERM');
    });
    assert.equal(code, 128 + 15);
    assert.deepEqual(left, []);
  });
});

describe('the relay of the lab', () => {
  it('makes links worse without hosts of their own', async () => {
    const { code, text, left } = await lab('--relay-only --loss 5 --loss-burst 2 --latency 10 --steps 30');
    assert.equal(code, 0, text);
    assert.deepEqual(left, []);
    assert.match(
      text,
      /^Lab: 2 browsers on this machine, a relay between them; 5\.0% of UDP packets lost, 2 in a row; 10 ms one way\.$/m,
    );
    const share = /lost on purpose \(([\d.]+)%\)$/m.exec(text);
    assert.ok(share && Number(share[1]) > 1 && Number(share[1]) < 12, text);
  });
});
