import type { PeerId } from '../../shared/ids.ts';
import type { LossRule } from '../../shared/schema/config.ts';
import type { RosterEntry } from '../link/mesh.ts';
import type { RoomSnapshot } from '../room.ts';
import type { PeerView, RunView } from '../swarm/record/snapshot.ts';

/** One line of the list of who is here. */
export interface Person {
  id: PeerId;
  name: string;
  isSelf: boolean;
  /** What it said of itself; null before its link has opened. */
  peer: PeerView | null;
  /** Null for this peer itself. */
  link: Pick<RosterEntry, 'link' | 'note' | 'present'> | null;
  rttMs: number | null;
  /** Slow or lossy enough for training to feel it. */
  isPoor: boolean;
}

const RUNNING: readonly RunView['phase'][] = ['preparing', 'training', 'paused', 'evaluating'];

export const isRunning = ({ phase }: Pick<RunView, 'phase'>): boolean => RUNNING.includes(phase);

const POOR_RTT_MS = 250;
const POOR_LOSS = 0.05;
/** A smaller share of parts in time is worth telling. */
const POOR_IN_TIME = 0.9;

/** What a person should know of the links while a run trains; empty where they are good. */
export function linksNote({ run, links }: RoomSnapshot): string {
  const { partsInTime, config, phase } = run;
  if (phase !== 'training') return '';
  if (config?.rule && partsInTime !== null && partsInTime < POOR_IN_TIME) {
    return `Links are poor: of what this device waits for, ${Math.round(100 * (1 - partsInTime))}% comes late or not at all. ${WITHOUT[config.rule]}`;
  }
  const poor = links.filter(({ rttMs, loss }) => rttMs > POOR_RTT_MS || loss > POOR_LOSS).length;
  return poor === 0
    ? ''
    : `${poor === 1 ? 'One link is' : `${poor} links are`} poor. Training goes on, slower.`;
}

const WITHOUT: Readonly<Record<LossRule, string>> = {
  deadline: 'Training goes on without it.',
  repair: 'Training asks again, and goes on without what does not come.',
  stall: 'Training waits for it.',
  discard: 'Those micro-batches are dropped.',
};

/** Everybody who is here or should be: this peer first, then by name. */
export function people({ self, peers, roster, links }: RoomSnapshot): Person[] {
  const ids = new Set([...peers.map(({ id }) => id), ...roster.map(({ id }) => id)]);
  const list = [...ids].map((id): Person => {
    const peer = peers.find((view) => view.id === id) ?? null;
    const entry = roster.find((member) => member.id === id);
    const link = links.find(({ a, b }) => (a === self && b === id) || (a === id && b === self));
    return {
      id,
      name: peer?.name ?? entry?.name ?? id,
      isSelf: id === self,
      peer,
      link: id === self ? null : (entry ?? { link: 'open', note: '', present: false }),
      rttMs: link?.rttMs ?? null,
      isPoor: link !== undefined && (link.rttMs > POOR_RTT_MS || link.loss > POOR_LOSS),
    };
  });
  return list.sort(
    (p, q) => Number(q.isSelf) - Number(p.isSelf) || p.name.localeCompare(q.name, 'en', { numeric: true }),
  );
}

/** Why a run cannot be started right now; empty where it can. */
export function startBlocker(snapshot: RoomSnapshot): string {
  const { roster, term, settled, run } = snapshot;
  if (isRunning(run)) return 'A run is going on.';
  const connecting = roster.filter(({ link, present }) => present && link === 'connecting');
  if (connecting.length > 0) return `Linking up with ${listNames(connecting)}.`;
  if (!term) return 'The peers are electing a coordinator.';
  if (!settled) return 'The peers are measuring their links.';
  return '';
}

/** Members that a run would have to do without; empty where there are none. */
export function missingNote({ roster }: RoomSnapshot): string {
  const broken = roster.filter(({ link, present }) => present && link === 'broken');
  return broken.length === 0 ? '' : `No link to ${listNames(broken)}: a run would do without.`;
}

const listNames = (members: readonly { name: string }[]): string =>
  new Intl.ListFormat('en').format(members.map(({ name }) => name));
