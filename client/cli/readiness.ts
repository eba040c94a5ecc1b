import type { RoomSnapshot } from '../room.ts';

/** True where all these peers see each other linked, agree on the coordinator and hold the room for settled. */
export function isLinkedUp(seen: readonly RoomSnapshot[]): boolean {
  const ids = seen.map(({ self }) => self);
  const [first] = seen;
  return seen.every(
    ({ settled, peers, term }) =>
      settled &&
      term !== null &&
      term.peer === first.term?.peer &&
      term.counter === first.term.counter &&
      ids.every((id) => peers.some((peer) => peer.id === id)),
  );
}

/** What keeps the room from starting, as sentences for people. */
export function describeRoom(seen: readonly RoomSnapshot[]): string {
  const names = new Map(seen.flatMap(({ peers }) => peers.map(({ id, name }) => [id, name] as const)));
  const nameOf = (id: string) => names.get(id) ?? id;
  const sentences: string[] = [];
  for (const { self, roster, signaling } of seen) {
    if (signaling.state !== 'joined') {
      sentences.push(`${nameOf(self)} has no signaling server (${signaling.message || signaling.state}).`);
    }
    for (const { name, link, note } of roster) {
      if (link !== 'open') sentences.push(`${nameOf(self)} to ${name}: ${link}${note ? ` (${note})` : ''}.`);
    }
  }
  const coordinators = new Set(seen.map(({ term }) => (term ? nameOf(term.peer) : 'nobody')));
  if (coordinators.size > 1)
    sentences.push(`They do not agree who coordinates: ${[...coordinators].join(', ')}.`);
  if (sentences.length === 0) sentences.push('All are linked, but their measurements did not settle.');
  return sentences.slice(0, 4).join(' ');
}
