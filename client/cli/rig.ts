import { randomInt } from 'node:crypto';
import type { BrowserContext } from 'playwright-core';
import { newRoomCode, newRoomSecret } from '../../shared/ids.ts';
import { roomLink } from '../../shared/room-link.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { PeerReport, Phase } from '../../shared/schema/control.ts';
import type { Report } from '../../shared/schema/report.ts';
import { startServer, type RunningServer } from '../../signaling/server.ts';
import type { ModelArtifacts } from '../engine/assemble.ts';
import type { LayerState } from '../ports/compute.ts';
import type { RoomSnapshot } from '../room.ts';
import { findOrInstallChromium } from './chromium.ts';
import type { LinkDelay } from './lists.ts';
import { Belongings } from './belongings.ts';
import { buildPage, removeDir } from './page-build.ts';
import { PeerBrowser } from './peer-browser.ts';
import { PeerPage, PeerPageError } from './peer-page.ts';
import { describeRoom, isLinkedUp } from './readiness.ts';
import { RigError } from './rig-error.ts';
import { inParallel, pause, TimeoutError } from './wait.ts';

export interface RigOptions {
  peers: number;
  /** The Chromium to use; by default the one that is installed, or installed now. */
  browser?: string | null;
  /** One browser process per peer; one page per peer by default. */
  isolate?: boolean;
  /** Emulated devices: milliseconds for the whole model's forward of one micro-batch, one per peer. */
  deviceMs?: readonly number[] | null;
  /** What the tensors of each peer may take. */
  memoryBytes?: readonly number[] | null;
  delays?: readonly LinkDelay[];
  /** Pages show nothing. */
  isHidden?: boolean;
  /** Pages compute on the processor, not by WebGL. */
  onCpu?: boolean;
  /** 0, the default: any free one. */
  port?: number;
  /** Loopback by default. */
  host?: string;
  /** A page that is built already; by default it is built anew. */
  pageDir?: string;
  /** The program that starts the browser of a peer, given the Chromium that was found: that itself by default. */
  starterOf?: (peer: number, chromium: string) => string;
  /** Hears of every browser before a peer is in it. */
  onBrowser?: (browser: PeerBrowser, peer: number) => void;
  /** Hears of every browser when its peer, the only one or the latest of several, has joined. */
  onJoined?: (browser: PeerBrowser, peer: number) => void;
  /** Readies a place in a browser for a peer. */
  prepare?: (context: BrowserContext, peer: number) => Promise<void>;
  /** The peer whose page is followed at first. */
  follow?: number;
  /** Hears what opening is busy with. */
  onStage?: (message: string) => void;
}

export interface FollowOptions {
  timeoutMs: number;
  /** Fails where nothing changes for this long; never by default. */
  stallMs?: number;
  /** Hears every look at the room. */
  onSnapshot?: (snapshot: RoomSnapshot) => void | Promise<void>;
}

const JOIN_MS = 120_000;
/** Software rendering compiles its programs on all cores: more at once would only make each of them late. */
const JOIN_AT_ONCE = 4;
const LOOK_MS = 250;

/** A whole room for commands and tests: a signaling server, real browsers, their pages as peers. Whoever opens it closes it. */
export class SwarmRig {
  readonly code = newRoomCode(randomInt);
  readonly secret = newRoomSecret(randomInt);
  readonly peers: PeerPage[] = [];
  readonly browsers: PeerBrowser[] = [];
  readonly #belongings = new Belongings();
  #server: RunningServer | null = null;
  #followed: number;

  constructor(private readonly options: RigOptions) {
    this.#followed = (options.follow ?? 1) - 1;
  }

  /** Opens a room and waits until everybody has joined. */
  static async open(options: RigOptions): Promise<SwarmRig> {
    const rig = new SwarmRig(options);
    try {
      await rig.open();
    } catch (error) {
      await rig.close();
      throw error;
    }
    return rig;
  }

  get server(): RunningServer {
    if (!this.#server) throw new RigError('The room is not open.');
    return this.#server;
  }

  /** Peers whose page still runs. */
  get alive(): PeerPage[] {
    return this.peers.filter((peer) => peer.gone === null);
  }

  /** The room's link on this machine, or on another of the server's addresses. */
  link(origin = this.server.url): string {
    return roomLink(origin, this.code, this.secret);
  }

  /** Starts everything and waits until all peers have joined. After a failure, `close()`. */
  async open(): Promise<void> {
    const { peers, browser, isolate = false, starterOf, onBrowser, onStage = () => undefined } = this.options;
    const path = await findOrInstallChromium(browser ?? undefined);
    await this.#serve();
    onStage(isolate ? `Starting ${peers} browsers` : 'Starting the browser');
    const launches = Array.from({ length: isolate ? peers : 1 }, (_, i) => i);
    await inParallel(launches, JOIN_AT_ONCE, async (i) => {
      const launched = PeerBrowser.launch(starterOf?.(i + 1, path) ?? path);
      this.browsers[i] = await this.#belongings.hold(launched, (started) => started.close());
      onBrowser?.(this.browsers[i], i + 1);
    });
    onStage(peers === 1 ? 'The peer joins' : 'The peers join');
    const numbers = Array.from({ length: peers }, (_, i) => i + 1);
    await inParallel(numbers, JOIN_AT_ONCE, (number) => this.#join(number));
  }

  /** Waits until all peers are linked, agree on the coordinator and have measured every link. */
  async whenLinked(timeoutMs = 120_000): Promise<RoomSnapshot> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const dead = this.peers.find((peer) => peer.gone !== null);
      if (dead)
        throw new RigError(`${dead.name} ended before training began: ${dead.gone}.${this.#complaints()}`);
      const seen = await Promise.all(this.peers.map((peer) => peer.snapshot()));
      if (isLinkedUp(seen)) return seen[0];
      if (Date.now() > deadline) {
        throw new RigError(
          `The peers did not link up within ${Math.round(timeoutMs / 1000)} s. ${describeRoom(seen)}${this.#complaints()}`,
        );
      }
      await pause(LOOK_MS);
    }
  }

  /** From here on that peer's page is followed. */
  turnTo(peer: number): void {
    this.#followed = peer - 1;
  }

  /** Presses Start on the page that is followed; training begins with the weights, where there are any. */
  async start(config: RunConfig, weights?: readonly LayerState[] | null): Promise<void> {
    await this.#first((peer) => peer.start(config, weights));
  }

  /** Asks for a new plan. Gives why the room makes none; null where it does. */
  replan(): Promise<string | null> {
    return this.#first((peer) => peer.replan());
  }

  nowMs(): number {
    return Date.now();
  }

  /** The room as a surviving page sees it. */
  snapshot(): Promise<RoomSnapshot> {
    return this.#first((peer) => peer.snapshot());
  }

  /** Looks at the room until `isDone`; goes over to another page where the one it follows ends. */
  async follow(isDone: (snapshot: RoomSnapshot) => boolean, options: FollowOptions): Promise<RoomSnapshot> {
    const { timeoutMs, stallMs = Infinity, onSnapshot } = options;
    const startedAt = Date.now();
    let changedAt = startedAt;
    let state = '';
    for (;;) {
      const snapshot = await this.snapshot();
      await onSnapshot?.(snapshot);
      if (isDone(snapshot)) return snapshot;
      const { phase, message, share, stepsDone, events } = snapshot.run;
      const now = Date.now();
      const next = [phase, message, share, stepsDone, events.length].join();
      if (next !== state) [state, changedAt] = [next, now];
      const where = `It is at "${phase}", after ${stepsDone} steps${message === '' ? '' : `: ${message}`}.`;
      if (now - startedAt > timeoutMs) {
        throw new TimeoutError(`The run was not done in time. ${where}${this.#complaints()}`);
      }
      if (now - changedAt > stallMs) {
        throw new TimeoutError(`Nothing happened for ${stallMs / 1000} s. ${where}${this.#complaints()}`);
      }
      await pause(LOOK_MS);
    }
  }

  /** Waits until the run is in that phase. Rejects where it fails instead. */
  async waitFor(phase: Phase, options: FollowOptions): Promise<RoomSnapshot> {
    const snapshot = await this.follow(({ run }) => run.phase === phase || run.phase === 'failed', options);
    if (snapshot.run.phase !== phase) throw new RigError(`The run failed: ${snapshot.run.message}`);
    return snapshot;
  }

  /** Ends training at the step it has reached; the model is tested as it is. */
  stop(): Promise<void> {
    return this.#first((peer) => peer.stop());
  }

  /** The weights of all blocks as they are now, while training goes on; neighbours may be a step apart. */
  async weights(): Promise<LayerState[]> {
    return (await Promise.all(this.alive.map((peer) => peer.weights()))).flat();
  }

  /** Parts that peers sent and used under the plan so far; stopping makes another plan, which counts anew. */
  async traffic(): Promise<PeerReport['traffic']> {
    return (await Promise.all(this.alive.map((peer) => peer.traffic()))).flat();
  }

  /** The report of the finished run. */
  report(): Promise<Report> {
    return this.#first((peer) => peer.report());
  }

  /** The trained model, its layers collected from the peers that hold them. */
  saveModel(): Promise<ModelArtifacts> {
    return this.#first((peer) => peer.saveModel());
  }

  /** Ends browsers and server and removes what they left. Closing twice is harmless. */
  close(): Promise<void> {
    return this.#belongings.close();
  }

  async #serve(): Promise<void> {
    const { onStage = () => undefined, port = 0, host = '127.0.0.1' } = this.options;
    let { pageDir } = this.options;
    if (pageDir === undefined) {
      onStage('Building the page');
      pageDir = await this.#belongings.hold(buildPage(), removeDir);
    }
    this.#server = await this.#belongings.hold(startServer({ port, host, pageDir }), (server) =>
      server.close(),
    );
  }

  async #join(number: number): Promise<void> {
    const browser = this.browsers[this.options.isolate ? number - 1 : 0];
    const context = await browser.newContext();
    await this.options.prepare?.(context, number);
    const peer = new PeerPage(`peer ${number}`, await context.newPage(), browser);
    this.peers[number - 1] = peer;
    await peer.join(this.#urlOf(number), JOIN_MS);
    if (this.options.isHidden) await peer.hide();
    this.options.onJoined?.(browser, number);
  }

  #urlOf(number: number): string {
    const { deviceMs, memoryBytes, delays = [], onCpu = false } = this.options;
    const url = new URL(this.link());
    url.searchParams.set('name', `peer ${number}`);
    if (deviceMs) url.searchParams.set('device-ms', String(deviceMs[number - 1]));
    if (onCpu) url.searchParams.set('compute', 'cpu');
    if (memoryBytes) url.searchParams.set('memory-mb', String(memoryBytes[number - 1] / 1e6));
    const late = delays
      .filter(({ a, b }) => a === number || b === number)
      .map(({ a, b, ms }) => `peer ${a === number ? b : a}:${ms}`);
    if (late.length > 0) url.searchParams.set('delay', late.join(','));
    url.searchParams.set('auto', '1');
    return url.href;
  }

  /** Asks the page that is followed, or the next that answers. */
  async #first<T>(ask: (peer: PeerPage) => Promise<T>): Promise<T> {
    let failure: unknown = null;
    for (let tried = 0; tried < this.peers.length; tried++) {
      const peer = this.peers[this.#followed];
      try {
        return await ask(peer);
      } catch (error) {
        const isLost = peer.gone !== null || error instanceof TimeoutError;
        if (!isLost) throw error;
        failure ??= error;
        this.#followed = (this.#followed + 1) % this.peers.length;
      }
    }
    if (this.alive.length > 0) throw failure instanceof Error ? failure : new PeerPageError(String(failure));
    throw new RigError(
      `All peers are gone: ${this.peers.map(({ name, gone }) => `${name} (${gone})`).join(', ')}.${this.#complaints()}`,
    );
  }

  /** The last thing that any page complained of, for the end of a message. */
  #complaints(): string {
    const peer = this.peers.findLast(({ complaints }) => complaints.length > 0);
    return peer ? ` The page of ${peer.name} said: ${peer.complaints.at(-1)}` : '';
  }
}
