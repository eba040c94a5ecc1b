import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { fileURLToPath } from 'node:url';
import { Server, type Socket } from 'socket.io';
import { LIMITS } from '../shared/limits.ts';
import { localAddress, originOf, reachableAddresses } from './addresses.ts';
import { DataSets } from './data-sets.ts';
import { createHttpHandler } from './http.ts';
import { Refusals, type Refusal } from './refusals.ts';
import { Rooms } from './rooms.ts';
import { isSameOrigin, serveSignaling, type Relayed, type SignalingLimits } from './sockets.ts';

export interface ServerOptions {
  /** 0 takes any free port. */
  port?: number;
  host?: string;
  /** The built page; by default `dist/` of this project. */
  pageDir?: string;
  /** Where Fashion-MNIST lies; by default where Debian's package puts it. */
  fashionDir?: string;
  /** With a certificate the server speaks https. */
  certificate?: { key: string; cert: string };
  /** Stricter or looser limits than LIMITS.signaling, for tests. */
  limits?: Partial<SignalingLimits>;
}

/** Counters since the start; `relayed` is all that peers sent each other through the server. */
export interface ServerStats {
  upSeconds: number;
  rooms: number;
  peers: number;
  sockets: number;
  relayed: Relayed;
  data: { requests: number; bytes: number };
  refused: Partial<Record<Refusal, number>>;
}

export interface RunningServer {
  port: number;
  /** How this machine reaches it, such as `http://localhost:8080`. */
  url: string;
  /** How other devices reach it, the likeliest first; empty where it listens on this machine only. */
  lanUrls: string[];
  close(): Promise<void>;
  stats(): ServerStats;
}

/** The server could not start; the message says what to do. */
export class StartError extends Error {}

const DEFAULT_PAGE_DIR = fileURLToPath(new URL('../dist', import.meta.url));

/** Starts signaling, the page and the data sets on one port. */
export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const { port: wantedPort = 8080, host = '0.0.0.0', certificate, pageDir = DEFAULT_PAGE_DIR } = options;
  const startedAt = Date.now();
  const rooms = new Rooms<Socket>({ now: () => performance.now() });
  const refusals = new Refusals();
  const relayed: Relayed = { signals: 0, bytes: 0, largestBytes: 0 };
  const data = new DataSets(options.fashionDir);
  const scheme = certificate ? 'https' : 'http';

  const stats = (): ServerStats => ({
    upSeconds: Math.floor((Date.now() - startedAt) / 1000),
    ...rooms.counts(),
    sockets: io.engine.clientsCount,
    relayed: { ...relayed },
    data: { ...data.served },
    refused: refusals.toJSON(),
  });
  // Asked each time: a laptop changes networks while the server runs.
  const lanUrls = () => reachableAddresses(host).map((address) => originOf(scheme, address, port));
  const handler = createHttpHandler({
    pageDir,
    data,
    api: {
      '/healthz': () => ({ ok: true }),
      '/api/stats': stats,
      '/api/addresses': () => ({ urls: lanUrls() }),
    },
  });

  const server = certificate ? createHttpsServer(certificate, handler) : createHttpServer(handler);
  const io = new Server(server, {
    serveClient: false,
    maxHttpBufferSize: LIMITS.signaling.messageBytes,
    pingInterval: LIMITS.signaling.pingIntervalMs,
    pingTimeout: LIMITS.signaling.pingTimeoutMs,
    allowRequest: (request, done) => {
      // engine.io asks again when a known client upgrades its transport: that one has its place already.
      const isNew = !(request as { _query?: { sid?: string } })._query?.sid;
      const isFull = isNew && io.engine.clientsCount >= LIMITS.signaling.sockets;
      const refusal = !isSameOrigin(request) ? 'cross-origin' : isFull ? 'server-full' : null;
      if (refusal !== null) refusals.count(`connect:${refusal}`);
      done(refusal, refusal === null);
    },
  });
  serveSignaling(io, { rooms, relayed, refusals, limits: { ...LIMITS.signaling, ...options.limits } });

  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explainStart(error, wantedPort, host)));
    server.listen(wantedPort, host, resolve);
  }).catch(async (error: unknown) => {
    await io.close().catch(() => undefined);
    throw error;
  });
  const { port } = server.address() as { port: number };
  const sweeping = setInterval(() => rooms.sweep(), LIMITS.room.emptyRoomMs);
  sweeping.unref();

  let closing: Promise<void> | undefined;
  return {
    port,
    url: originOf(scheme, localAddress(host), port),
    get lanUrls() {
      return lanUrls();
    },
    stats,
    close: () => {
      clearInterval(sweeping);
      closing ??= io.close().finally(() => server.closeAllConnections());
      return closing;
    },
  };
}

function explainStart(error: NodeJS.ErrnoException, port: number, host: string): Error {
  const other = port < 65535 ? port + 1 : 8080;
  switch (error.code) {
    case 'EADDRINUSE':
      return new StartError(
        `Port ${port} is taken, perhaps by another EdgePipe. Stop that one, or choose another port: --port ${other}`,
      );
    case 'EACCES':
      return new StartError(`This user may not open port ${port}. Choose one above 1023: --port 8080`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new StartError(`This machine has no address ${host}. To listen on all of them: --host 0.0.0.0`);
    default:
      return new StartError(`The server could not start on ${host}, port ${port}: ${error.message}`);
  }
}
