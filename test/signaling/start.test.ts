import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { checkServerIdentity, connect, type PeerCertificate } from 'node:tls';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build, BuildError } from '../../signaling/build.ts';
import { lanAddresses, originOf, reachableAddresses } from '../../signaling/addresses.ts';
import { defaultCacheDir, loadCertificate } from '../../signaling/certificate.ts';
import { HELP, parseOptions } from '../../signaling/options.ts';
import { StartError, startServer } from '../../signaling/server.ts';
import { parseRoomLink, roomLink, roomLinkProblem, roomPath } from '../../shared/room-link.ts';
import { joinRequest, serve, temporaryDir } from './helpers.ts';

describe('command line', () => {
  it('has defaults', () => {
    const options = { port: 8080, host: '0.0.0.0', https: false, room: null, help: false };
    assert.deepEqual(parseOptions([]), { ok: true, options });
  });

  it('reads every flag', () => {
    const args = ['--port', '9000', '--host=127.0.0.1', '--https', '--room', 'acd-efg', '-h'];
    const options = { port: 9000, host: '127.0.0.1', https: true, room: 'ACDEFG', help: true };
    assert.deepEqual(parseOptions(args), { ok: true, options });
    for (const flag of Object.keys(options)) assert.match(HELP, new RegExp(`--${flag}\\b`));
  });

  const refusals: [args: string[], words: RegExp][] = [
    [['--prot', '1'], /no flag --prot\. Did you mean --port\?/],
    [['--rom=ACDEFG'], /--rom\b.*--room\?/],
    [['-p', '1'], /no flag -p\b/],
    [['--gpu'], /no flag --gpu\. All flags/],
    [['--constructor'], /no flag --constructor/],
    [['port', '80'], /"port" belongs to no flag\. Did you mean --port\?/],
    [['9000'], /"9000" belongs to no flag/],
    [['--port'], /--port needs a value/],
    [['--port', '--https'], /--port needs a value/],
    [['--port='], /--port needs a value/],
    [['--port', 'abc'], /--port.*not "abc"/],
    [['--port', '65536'], /--port.*not "65536"/],
    [['--port=-1'], /--port.*not "-1"/],
    [['--port', '80.5'], /--port.*not "80\.5"/],
    [['--port', '1e3'], /--port.*not "1e3"/],
    [['--port', '1', '--port', '2'], /--port is given twice/],
    [['--host', 'a b'], /--host.*not "a b"/],
    [['--host', 'http://x'], /--host.*not "http:\/\/x"/],
    [['--room', 'ABC'], /--room.*6.*not "ABC"/],
    [['--room', 'OOOOOO'], /--room.*look alike/],
    [['--https=yes'], /--https takes no value/],
  ];
  for (const [args, words] of refusals) {
    it(`refuses ${args.join(' ')}`, () => {
      const parsed = parseOptions(args);
      assert.equal(parsed.ok, false);
      assert.match(parsed.message, words);
      assert.doesNotMatch(parsed.message, /\n/);
    });
  }

  it('ends with exit code 2 before anything starts', () => {
    const script = fileURLToPath(new URL('../../signaling/start.ts', import.meta.url));
    const run = spawnSync(process.execPath, ['--import', 'tsx', script, '--prot', '1'], { encoding: 'utf8' });
    assert.equal(run.status, 2);
    assert.match(run.stderr, /--prot\b.*--port\?/);
    assert.equal(run.stdout, '');
  });
});

describe('starting', () => {
  it('names a port that is taken and the flag for another', async (t) => {
    const { server } = await serve(t);
    await assert.rejects(startServer({ port: server.port, host: '127.0.0.1' }), (error: Error) => {
      assert.ok(error instanceof StartError);
      assert.match(error.message, new RegExp(`Port ${server.port} is taken.*--port ${server.port + 1}`));
      return true;
    });
  });

  it('names a host that is not this machine', async () => {
    await assert.rejects(startServer({ port: 0, host: '203.0.113.1' }), /no address 203\.0\.113\.1.*--host/);
  });

  it('closes with clients connected, and closes twice', async (t) => {
    const test = await serve(t);
    const member = await test.member(1);
    const gone = new Promise((resolve) => member.socket.once('disconnect', resolve));
    await Promise.all([test.server.close(), test.server.close()]);
    await gone;
    await assert.rejects(fetch(test.url));
    await (await startServer({ port: test.server.port, host: '127.0.0.1' })).close();
  });
});

describe('https', () => {
  it('shakes hands with a certificate for its addresses and carries sockets', async (t) => {
    const certificate = await loadCertificate({ names: ['192.168.7.7'], cacheDir: null });
    const test = await serve(t, { certificate });
    assert.match(test.url, /^https:\/\/localhost:/);
    const seen = await new Promise<PeerCertificate>((resolve, reject) => {
      const { port } = test.server;
      const socket = connect(
        { port, host: '127.0.0.1', servername: 'localhost', ca: certificate.cert },
        () => {
          resolve(socket.getPeerCertificate());
          socket.end();
        },
      );
      socket.on('error', reject);
    });
    for (const name of ['localhost', '127.0.0.1', '192.168.7.7']) {
      assert.equal(checkServerIdentity(name, seen), undefined, name);
    }
    assert.ok(checkServerIdentity('192.168.7.8', seen));
    const days = (Date.parse(seen.valid_to) - Date.parse(seen.valid_from)) / 86_400_000;
    assert.ok(days > 396 && days <= 397, `${days} days`);

    const client = await test.client({ ca: certificate.cert });
    assert.equal((await client.ask('join', joinRequest(1))).ok, true);
  });

  it('keeps its certificate until the addresses change or it runs out', async (t) => {
    const cacheDir = join(await temporaryDir(t), 'cache');
    const first = await loadCertificate({ names: ['10.0.0.1', '10.0.0.2'], cacheDir });
    assert.deepEqual(await loadCertificate({ names: ['10.0.0.1', '10.0.0.2'], cacheDir }), first);
    assert.deepEqual(await loadCertificate({ names: ['10.0.0.2'], cacheDir }), first, 'it covers fewer, too');
    const moved = await loadCertificate({ names: ['10.0.0.3'], cacheDir });
    assert.notEqual(moved.cert, first.cert);
    const later = new Date(Date.now() + 396 * 86_400_000);
    const renewed = await loadCertificate({ names: ['10.0.0.3'], cacheDir, now: later });
    assert.notEqual(renewed.cert, moved.cert);
    if (process.platform !== 'win32') {
      assert.equal(
        (await stat(join(cacheDir, 'certificate.json'))).mode & 0o077,
        0,
        "the key is its owner's alone",
      );
    }
  });

  it('makes a new certificate where the kept one is damaged or cannot be kept', async (t) => {
    const cacheDir = await temporaryDir(t);
    const file = join(cacheDir, 'certificate.json');
    for (const damaged of ['', '{', 'null', '{"key":"x","cert":"y"}']) {
      await writeFile(file, damaged);
      assert.match((await loadCertificate({ names: [], cacheDir })).cert, /BEGIN CERTIFICATE/);
    }
    assert.match((await loadCertificate({ names: [], cacheDir: join(file, 'no-directory') })).cert, /BEGIN/);
    assert.match(defaultCacheDir({ XDG_CACHE_HOME: '/x' }, 'linux'), /^[\\/]x[\\/]edgepipe$/);
  });
});

describe('addresses', () => {
  const entry = (address: string, family: 'IPv4' | 'IPv6' = 'IPv4', internal = false) =>
    ({ address, family, internal, netmask: '', mac: '', cidr: null, scopeid: 0 }) as never;
  const interfaces = {
    lo: [entry('127.0.0.1', 'IPv4', true), entry('::1', 'IPv6', true)],
    docker0: [entry('172.17.0.1')],
    tailscale0: [entry('100.64.0.9')],
    en5: [entry('169.254.3.4')],
    eth1: [entry('10.1.2.3')],
    wlan0: [entry('192.168.1.7'), entry('fe80::1', 'IPv6'), entry('2001:db8::7', 'IPv6')],
    gone: undefined,
  };

  it('come likeliest first, without what no phone can use', () => {
    assert.deepEqual(lanAddresses(interfaces), [
      '192.168.1.7',
      '10.1.2.3',
      '169.254.3.4',
      '2001:db8::7',
      '172.17.0.1',
      '100.64.0.9',
    ]);
  });

  it('are those of the host that the server listens on', () => {
    assert.ok(!reachableAddresses('0.0.0.0', interfaces).includes('2001:db8::7'));
    assert.ok(reachableAddresses('::', interfaces).includes('2001:db8::7'));
    assert.deepEqual(reachableAddresses('10.1.2.3', interfaces), ['10.1.2.3']);
    for (const host of ['localhost', '127.0.0.1', '127.3.2.1', '::1']) {
      assert.deepEqual(reachableAddresses(host, interfaces), []);
    }
    assert.equal(originOf('https', '2001:db8::7', 8080), 'https://[2001:db8::7]:8080');
  });
});

describe('room links', () => {
  const secret = 'abcdefghijklmnopqrst-_';

  it('are read as they were made', () => {
    const link = roomLink('http://10.0.0.1:8080/', 'ACDEFG', secret);
    assert.equal(link, `http://10.0.0.1:8080/r/ACDEFG#${secret}`);
    for (const text of [link, ` ${link}\n`, roomPath('ACDEFG', secret), `https://x/r/acdefg/#${secret}`]) {
      assert.deepEqual(parseRoomLink(text), { code: 'ACDEFG', secret }, text);
      assert.equal(roomLinkProblem(text), null);
    }
  });

  for (const [text, words] of [
    ['http://[', /not a link/],
    ['http://10.0.0.1/', /no room/],
    [`http://10.0.0.1/r/ACD#${secret}`, /"ACD" is not a room code/],
    ['http://10.0.0.1/r/ACDEFG', /after # is missing/],
    [`http://10.0.0.1/r/ACDEFG#${secret.slice(1)}`, /after # is damaged/],
  ] as const) {
    it(`says what is wrong with ${text}`, () => {
      assert.equal(parseRoomLink(text), null);
      assert.match(roomLinkProblem(text) ?? '', words);
    });
  }
});

describe('building', () => {
  async function project(root: string, main: string): Promise<void> {
    await mkdir(join(root, 'client/app'), { recursive: true });
    await mkdir(join(root, 'client/engine'), { recursive: true });
    await writeFile(join(root, 'client/app/main.ts'), main);
    await writeFile(join(root, 'client/engine/worker.ts'), 'postMessage(1);');
    await writeFile(join(root, 'client/app/index.html'), '<title>x</title>');
  }

  it('bundles the page and the worker', async (t) => {
    const root = await temporaryDir(t);
    await project(root, 'const n: number = 41; console.log(n + 1);');
    const { outdir } = await build({ root });
    assert.match(await readFile(join(outdir, 'main.js'), 'utf8'), /sourceMappingURL=main\.js\.map/);
    assert.match(await readFile(join(outdir, 'worker.js'), 'utf8'), /postMessage/);
    assert.match(await readFile(join(outdir, 'index.html'), 'utf8'), /<title>/);
  });

  it('says what is missing or wrong, and keeps the former page', async (t) => {
    const root = await temporaryDir(t);
    await assert.rejects(build({ root }), (error: Error) => {
      assert.ok(error instanceof BuildError);
      assert.match(error.message, /client\/app\/main\.ts.*client\/engine\/worker\.ts/);
      return true;
    });
    await project(root, 'console.log("good");');
    const { outdir } = await build({ root });
    await project(root, 'console.log(');
    await assert.rejects(build({ root }), /main\.ts:1/);
    assert.match(await readFile(join(outdir, 'main.js'), 'utf8'), /good/);
  });
});
