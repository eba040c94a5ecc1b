import { join } from 'node:path';
import type { RigOptions } from '../rig.ts';
import type { Wire } from './cuts.ts';
import { LabFolder, removeLeftFolders } from './folder.ts';
import { bridgeAddress, hostName } from './hosts.ts';
import { RELAY_BINDING, relayPage, withAliases } from './ice.ts';
import { LabError } from './lab-error.ts';
import { HostNetwork, hostsProblem, removeLeftovers } from './network.ts';
import { needsRelay, type LabOptions } from './options.ts';
import { openSlowGroup } from './processor.ts';
import { UdpRelay } from './relay.ts';
import { writeStarter } from './starter.ts';

/** Hosts, the network between them, and what makes it worse. Whoever opens it closes it. */
export class Lab implements Wire {
  readonly #folder = new LabFolder();
  #network: HostNetwork | null = null;
  #relay: UdpRelay | null = null;
  /** What each peer's browser writes its process number into, to be slowed. */
  #groups: string[] = [];

  private constructor(private readonly options: LabOptions) {}

  /** Builds it all. Rejects with a LabError that says what is missing. */
  static async open(options: LabOptions, say: (message: string) => void = () => undefined): Promise<Lab> {
    removeLeftFolders();
    const problem = options.relayOnly ? null : hostsProblem();
    if (problem !== null) throw new LabError(problem);
    const lab = new Lab(options);
    try {
      lab.#build(say);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  /** The third number of all its addresses; null where it has no hosts. */
  get subnet(): number | null {
    return this.#network?.subnet ?? null;
  }

  /** How peers are started and reached in this lab. */
  rigOptions(): Partial<RigOptions> {
    return {
      isolate: true,
      ...(this.#network && { host: bridgeAddress(this.#network.subnet) }),
      starterOf: (peer, chromium) => {
        const file = join(this.#folder.path, `peer-${peer}`);
        const host = this.#network && hostName(this.#network.pid, peer);
        writeStarter(file, { chromium, host, group: this.#groups.at(peer - 1) ?? null });
        return file;
      },
      prepare: async (context, peer) => {
        const relay = this.#relay;
        if (!relay) return;
        await context.exposeFunction(RELAY_BINDING, (text: string) =>
          withAliases(text, (real) => relay.aliasOf(real, peer)),
        );
        await context.addInitScript(relayPage);
      },
    };
  }

  cut(peer: number): void {
    (this.#network ?? this.#relay)?.cut(peer);
  }

  heal(peer: number): void {
    (this.#network ?? this.#relay)?.heal(peer);
  }

  /** Packets so far, and how many of them the lab lost on purpose. */
  packets(): { sent: number; lost: number } {
    const bridged = this.#network?.packets() ?? { sent: 0, lost: 0 };
    const relayed = this.#relay?.packets ?? { sent: 0, lost: 0 };
    // What the relay gets has passed the bridge.
    return { sent: this.#network ? bridged.sent : relayed.sent, lost: bridged.lost + relayed.lost };
  }

  async close(): Promise<void> {
    await this.#relay?.close();
    this.#network?.close();
    this.#folder.close();
  }

  #build(say: (message: string) => void): void {
    const { swarm, traits, relayOnly } = this.options;
    const { loss, burst, latencyMs, jitterMs, bitsPerSecond, slow } = traits;
    const isInBursts = burst !== null;
    if (!relayOnly) {
      const left = removeLeftovers();
      if (left > 0)
        say(`Removed what ${left === 1 ? 'an earlier lab' : `${left} earlier labs`} left behind.`);
      const network = HostNetwork.build({ peers: swarm.peers, loss: isInBursts ? 0 : loss, bitsPerSecond });
      this.#network = network;
      if (slow > 1) {
        const peers = Array.from({ length: swarm.peers }, (_, i) => i + 1);
        this.#groups = peers.map((peer) => openSlowGroup(hostName(network.pid, peer), slow));
      }
    }
    if (!needsRelay(this.options)) return;
    this.#relay = new UdpRelay({
      traits: {
        loss: relayOnly || isInBursts ? loss : 0,
        burst,
        latencyMs,
        jitterMs,
        bytesPerSecond: relayOnly && bitsPerSecond !== null ? bitsPerSecond / 8 : null,
      },
      seed: swarm.config.seed,
      ...(this.#network && { address: bridgeAddress(this.#network.subnet) }),
    });
  }
}
