import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { startServer, type RunningServer, type ServerOptions } from '../../signaling/server.ts';
import { PROTOCOL_VERSION } from '../../shared/version.ts';

export const ROOM = 'ACDEFG';
export const OTHER_ROOM = 'HJKMNP';

/** `peerId(7)` is `p000000007`. */
export const peerId = (n: number): string => `p${String(n).padStart(9, '0')}`;
export const tokenOf = (n: number): string => `token-of-peer-${String(n).padStart(4, '0')}`;

export const joinRequest = (n: number, room = ROOM) => ({
  protocol: PROTOCOL_VERSION,
  room,
  member: { id: peerId(n), name: `Peer ${n}` },
  token: tokenOf(n),
});

/** A directory that goes when the test ends. */
export async function temporaryDir(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'edgepipe-test-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A server on a free loopback port with a page of one line; it and its clients close when the test ends. */
export async function serve(t: TestContext, options: ServerOptions = {}): Promise<TestServer> {
  const pageDir = await temporaryDir(t);
  await writeFile(join(pageDir, 'index.html'), '<!doctype html><title>EdgePipe</title>');
  await writeFile(join(pageDir, 'main.js'), 'console.log(1);');
  const server = await startServer({ port: 0, host: '127.0.0.1', pageDir, ...options });
  const test = new TestServer(server);
  t.after(() => test.close());
  return test;
}

export class TestServer {
  readonly #clients: Socket[] = [];

  constructor(readonly server: RunningServer) {}

  get url(): string {
    return this.server.url;
  }

  /** How often something was refused, such as `join:room-full`. */
  refused(reason: string): number {
    return (this.server.stats().refused as Record<string, number>)[reason] ?? 0;
  }

  /** A socket that has connected, with everything it hears. */
  async client(options: Partial<ManagerOptions & SocketOptions> = {}): Promise<TestClient> {
    const socket = io(this.url, {
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
      ...options,
    });
    this.#clients.push(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('connect_error', reject);
    });
    return new TestClient(socket);
  }

  /** A socket that has joined. */
  async member(n: number, room = ROOM): Promise<TestClient> {
    const client = await this.client();
    const answer = await client.ask('join', joinRequest(n, room));
    if (!answer.ok) throw new Error(`peer ${n} could not join: ${answer.message}`);
    return client;
  }

  async close(): Promise<void> {
    for (const socket of this.#clients) socket.disconnect();
    await this.server.close();
  }
}

export interface Answer {
  ok: boolean;
  reason?: string;
  message?: string;
  members?: { id: string; name: string }[];
}

export class TestClient {
  readonly heard: [event: string, payload: unknown][] = [];

  constructor(readonly socket: Socket) {
    socket.onAny((event: string, payload: unknown) => void this.heard.push([event, payload]));
  }

  /** Emits and waits for the acknowledgement. */
  ask(event: string, ...payload: unknown[]): Promise<Answer> {
    return this.socket.timeout(10_000).emitWithAck(event, ...payload) as Promise<Answer>;
  }

  /** Everything that was on its way to this client has been heard afterwards. */
  async settle(): Promise<void> {
    await this.ask('signal', null);
  }
}

/** Polls until it holds; for what no event announces. */
export async function eventually(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`did not happen within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
