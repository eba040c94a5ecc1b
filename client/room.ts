import { newPeerId, newRoomSecret } from '../shared/ids.ts';
import { LIMITS } from '../shared/limits.ts';
import type { Report } from '../shared/schema/report.ts';
import type { RunConfig } from '../shared/schema/config.ts';
import type { PeerReport } from '../shared/schema/control.ts';
import type { Span } from '../shared/schema/timeline.ts';
import { assembleModel, type ModelArtifacts } from './engine/assemble.ts';
import { openCompute } from './engine/open-compute.ts';
import { browserName } from './link/browser-name.ts';
import { browserClock } from './link/clock.ts';
import { DelayedTransport } from './link/faults.ts';
import { Mesh, type RosterEntry } from './link/mesh.ts';
import { HttpOrigin } from './link/origin.ts';
import { browserRandom, browserRandomInt } from './link/random.ts';
import { SignalingClient, type SignalingState } from './link/signaling-client.ts';
import { BrowserStorage } from './link/storage.ts';
import type { Compute, DeviceInfo, LayerState, MemoryUse } from './ports/compute.ts';
import type { SwarmSnapshot } from './swarm/record/snapshot.ts';
import { Swarm } from './swarm/swarm.ts';

export interface JoinOptions {
  /** Origin of the signaling server, such as `https://192.168.1.20:8443`; where the page came from, if left out. */
  server?: string;
  /** The room's code. */
  code: string;
  /** How this peer is shown to the others. */
  name: string;
  /** Where the compute worker's bundle is served. */
  workerUrl: string | URL;
  /** Emulates a device: milliseconds for the whole model's forward of one micro-batch. */
  emulatedMs?: number;
  /** Tensor bytes that this device may hold; the plan gives it no more. */
  memoryBytes?: number;
  /** Computes on the processor even where there is WebGL: small blocks of many peers on one machine take less of it so. */
  onCpu?: boolean;
  /** For experiments: milliseconds by which messages of the peer with that name come later. */
  delayMs?: (name: string) => number;
  iceServers?: RTCIceServer[];
  /** Says what joining is busy with, for people. */
  onStage?: (message: string) => void;
}

/** The room as a person sees it: the engine's view, and the links that are not there yet. */
export interface RoomSnapshot extends SwarmSnapshot {
  code: string;
  device: DeviceInfo;
  /** Members that the server knows of and the state of the link to each. */
  roster: RosterEntry[];
  signaling: { state: SignalingState; message: string };
}

/** A place in a room: this tab as one of its peers. The library's main entry. */
export class Room {
  readonly #swarm: Swarm;
  readonly #listeners = new Set<() => void>();
  #signalingState: RoomSnapshot['signaling'];

  private constructor(
    readonly code: string,
    private readonly signaling: SignalingClient,
    private readonly mesh: Mesh,
    private readonly compute: Compute,
    ports: ConstructorParameters<typeof Swarm>[0],
  ) {
    this.#swarm = new Swarm(ports);
    this.#signalingState = { state: signaling.state, message: '' };
    this.#swarm.onChange(() => this.#changed());
    mesh.onRoster(() => this.#changed());
    signaling.onState((state, message) => {
      this.#signalingState = { state, message };
      this.#changed();
    });
  }

  /** Starts the device, joins the room and begins to link up. Rejects with a message for people. */
  static async join(options: JoinOptions): Promise<Room> {
    const { code, onStage = () => undefined } = options;
    const name = options.name.trim().slice(0, LIMITS.room.nameChars) || 'somebody';
    onStage('Starting the compute device');
    const compute = await openCompute({
      emulatedMs: options.emulatedMs ?? null,
      memoryBytes: options.memoryBytes ?? null,
      ...(options.onCpu && { force: 'cpu' as const }),
      workerUrl: options.workerUrl,
    });
    const server = options.server ?? globalThis.location.origin;
    const signaling = new SignalingClient({
      url: server,
      room: code,
      self: { id: newPeerId(browserRandomInt), name },
      token: newRoomSecret(browserRandomInt),
      clock: browserClock,
    });
    const mesh = new Mesh({
      signaling,
      clock: browserClock,
      random: browserRandom,
      ...(options.iceServers && { iceServers: options.iceServers }),
    });
    const { delayMs } = options;
    const nameOf = (peer: string) => mesh.members().find((member) => member.id === peer)?.name ?? '';
    const room = new Room(code, signaling, mesh, compute, {
      clock: browserClock,
      transport: delayMs ? new DelayedTransport(mesh, browserClock, (peer) => delayMs(nameOf(peer))) : mesh,
      compute,
      storage: new BrowserStorage(browserClock),
      origin: new HttpOrigin({ clock: browserClock, base: new URL('/data/', server).href }),
      me: { name, device: { ...compute.device, browser: browserName(globalThis.navigator.userAgent) } },
    });
    try {
      onStage('Joining the room');
      await signaling.join();
    } catch (error) {
      room.leave();
      throw error;
    }
    return room;
  }

  snapshot(): RoomSnapshot {
    return {
      ...this.#swarm.snapshot(),
      code: this.code,
      device: this.compute.device,
      roster: this.mesh.roster(),
      signaling: this.#signalingState,
    };
  }

  /** Calls back after every change; returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Asks the room's coordinator for a run. Rejects with a message for people.
   * @param weights of all layers, where training goes on from them instead of from the seed
   */
  start(config: RunConfig, weights: readonly LayerState[] = []): Promise<void> {
    return this.#swarm.start(config, weights);
  }

  /** Ends training at the step it has reached; the model is tested as it is. */
  stop(): void {
    this.#swarm.stop();
  }

  /**
   * A new plan for everybody who is here now, by devices measured again and the importance of units so far; training goes on from
   * where it is. Throws a message for people where there is nothing to plan anew.
   */
  replan(): void {
    this.#swarm.replan();
  }

  /** Goes on with the rest after a pause. */
  goOn(): void {
    this.#swarm.goOn();
  }

  /** Loss and accuracy of every step so far. */
  steps(): Report['steps'] {
    return this.#swarm.record.steps;
  }

  /** What this peer did lately. */
  spans(): readonly Span[] {
    return this.#swarm.spans();
  }

  /** Parts that this peer sent and used under the plan so far. */
  get traffic(): PeerReport['traffic'] {
    return this.#swarm.traffic;
  }

  /** The weights of this peer's block as they are now, while training goes on. */
  weights(): Promise<LayerState[]> {
    return this.#swarm.weights();
  }

  /** Tensors on this device. */
  memory(): Promise<MemoryUse> {
    return this.compute.memory();
  }

  /** Where this peer's chunks of the data set came from. */
  get dataFetched(): { fromServer: number; fromPeers: number; fromStorage: number } {
    return this.#swarm.dataFetched;
  }

  /** The report of the finished run, with the timelines of all who are here. Rejects with a message for people before that. */
  report(): Promise<Report> {
    return this.#swarm.report();
  }

  /** The whole model as a tfjs LayersModel, its layers fetched from the peers that hold them. */
  async saveModel(): Promise<ModelArtifacts> {
    const { config, layers } = await this.#swarm.collectModel();
    return assembleModel(config.model, layers);
  }

  /** Says good-bye and ends everything that was started. */
  leave(): void {
    this.#listeners.clear();
    this.#swarm.close();
    this.signaling.close();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
