import type { PeerId } from '../../shared/ids.ts';
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
}

const RUNNING: readonly RunView['phase'][] = ['preparing', 'training', 'paused', 'evaluating'];

export const isRunning = ({ phase }: Pick<RunView, 'phase'>): boolean => RUNNING.includes(phase);

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
