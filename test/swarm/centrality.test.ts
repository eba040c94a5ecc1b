import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  centralities,
  mostCentral,
  transferMs,
  type LinkQuality,
} from '../../client/swarm/membership/centrality.ts';
import { compareTerms } from '../../client/swarm/membership/election.ts';
import { LinkTable } from '../../client/swarm/membership/link-table.ts';

const link = (a: string, b: string, rttMs: number): LinkQuality => ({ a, b, rttMs, loss: 0, goodput: 1e18 });

describe('centrality', () => {
  it('is (n-1) / sum of distances when all are linked', () => {
    const links = [link('a', 'b', 20), link('b', 'c', 40), link('a', 'c', 1000)];
    const centrality = centralities(['a', 'b', 'c'], links);
    // From b: 10 and 20 ms. From a to c the way over b is shorter than the direct link.
    assert.ok(Math.abs(centrality.get('b')! - 2 / 30) < 1e-6);
    assert.ok(Math.abs(centrality.get('a')! - 2 / 40) < 1e-6);
    assert.equal(mostCentral(centrality), 'b');
  });

  it('counts less for a peer in the smaller half of a split room (Wasserman and Faust)', () => {
    const centrality = centralities(
      ['a', 'b', 'c', 'd', 'e'],
      [link('a', 'b', 10), link('c', 'd', 10), link('d', 'e', 10)],
    );
    assert.ok(Math.abs(centrality.get('a')! - (1 / 4) * (1 / 5)) < 1e-6);
    assert.ok(Math.abs(centrality.get('d')! - (2 / 4) * (2 / 10)) < 1e-6);
    assert.equal(mostCentral(centrality), 'd');
  });

  it('goes to the lower id on a tie, and is 0 for a peer alone', () => {
    assert.equal(mostCentral(centralities(['b', 'a'], [link('a', 'b', 10)])), 'a');
    assert.equal(centralities(['a'], []).get('a'), 0);
  });

  it('measures a link by expected transfer time: slower with loss, less goodput, longer ways', () => {
    const good = { rttMs: 10, loss: 0, goodput: 1e6 };
    assert.ok(Math.abs(transferMs(good) - (65.536 + 5)) < 1e-9);
    assert.ok(transferMs({ ...good, loss: 0.5 }) > 4 * 65);
    assert.ok(transferMs({ ...good, loss: 1 }) < Infinity);
  });
});

describe('the link table', () => {
  const row = (peer: string, rttMs: number) => ({ peer, rttMs, loss: 0, goodput: 1e6 });

  it('has a link once both ends have measured it', () => {
    const table = new LinkTable('a');
    table.sampleRtt('b', 10);
    assert.deepEqual(table.links(['a', 'b']), []);
    table.setRow('b', [row('a', 20)]);
    assert.equal(table.links(['a', 'b'])[0].rttMs, 15);
    assert.ok(table.complete(['a', 'b']));
    table.unlink('b');
    assert.ok(!table.complete(['a', 'b']));
  });

  it('takes the median, so that one late answer moves nothing', () => {
    const table = new LinkTable('a');
    for (const rtt of [10, 11, 900, 10, 12]) table.sampleRtt('b', rtt);
    assert.equal(table.ownRow(['b'])[0].rttMs, 11);
  });

  it('counts missed heartbeats as loss', () => {
    const table = new LinkTable('a');
    table.sampleRtt('b', 10);
    for (let i = 0; i < 200; i++) table.sampleArrival('b', i % 2);
    const { loss } = table.ownRow(['b'])[0];
    assert.ok(loss > 0.15 && loss < 0.5, String(loss));
  });
});

describe('terms', () => {
  it('are fenced by the higher counter, then the lower id', () => {
    const terms = [
      { counter: 1, peer: 'a' },
      { counter: 2, peer: 'b' },
      { counter: 2, peer: 'a' },
    ].sort(compareTerms);
    assert.deepEqual(
      terms.map(({ counter, peer }) => `${counter}${peer}`),
      ['2a', '2b', '1a'],
    );
  });
});
