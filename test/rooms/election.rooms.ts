import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { centralities, mostCentral } from '../../client/swarm/membership/centrality.ts';
import { inRoom, train } from './support.ts';

describe('election in real browsers', () => {
  it(
    'elects peer 3 when its links are the shortest, and the report lets anybody compute that',
    { timeout: 180_000 },
    async () => {
      const delays = [
        { a: 1, b: 2, ms: 80 },
        { a: 1, b: 4, ms: 80 },
        { a: 2, b: 4, ms: 80 },
        { a: 1, b: 3, ms: 10 },
        { a: 2, b: 3, ms: 10 },
        { a: 3, b: 4, ms: 10 },
      ];
      await inRoom({ peers: 4, delays }, async (rig, room) => {
        const three = room.peers.find((peer) => peer.name === 'peer 3')!.id;
        assert.equal(room.term?.peer, three);
        const report = await train(rig, { steps: 2 });
        const links = report.links.map(({ a, b, rtt_ms, loss, goodput }) => ({
          a,
          b,
          rttMs: rtt_ms,
          loss,
          goodput,
        }));
        const centrality = centralities(
          report.peers.map((peer) => peer.id),
          links,
        );
        assert.equal(mostCentral(centrality), three);
        assert.equal(report.coordinator[0].peer, three);
        assert.ok(Math.abs(centrality.get(three)! / report.coordinator[0].centrality - 1) < 1e-9);
      });
    },
  );
});
