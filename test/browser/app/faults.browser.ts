import { expect } from '@open-wc/testing';
import { FakeRoom, runIn } from './fake-room.ts';
import { dress, readable, within } from './page.ts';
import { alert, open, press, set, SETTINGS } from './room-page.ts';
import { runConfig } from '../../../client/defaults.ts';
import type { RoomSnapshot } from '../../../client/room.ts';

async function started(fields: Readonly<Record<string, string>>) {
  const room = new FakeRoom();
  const view = await open(room);
  for (const [name, value] of Object.entries(fields)) set(view, name, value);
  await press(view, 'start');
  return { view, config: room.started.at(0) };
}

describe('faults on the page', () => {
  it('trusts links where nothing is said', async () => {
    const { config } = await started({});
    expect(config).to.not.have.any.keys('rule', 'faults');
  });

  it('starts with a rule alone', async () => {
    const { config } = await started({ rule: 'repair' });
    expect(config!.rule).to.equal('repair');
    expect(config).to.not.have.key('faults');
  });

  it('starts with the faults that a person chose, by the default rule', async () => {
    const { config } = await started({
      drop: '30',
      burst: '5',
      jitterMs: '20',
      duplicate: '10',
      reorder: '5',
      outage: '25',
      stallPeer: '2',
      stallSeconds: '5',
      stallEvery: '15',
      cutLink: '1',
      cutFirst: '10',
      cutLast: '20',
      tests: 'lossy',
    });
    expect(config!.rule).to.equal('deadline');
    expect(config!.faults).to.deep.equal({
      drop: 0.3,
      burst: 5,
      jitterMs: 20,
      duplicate: 0.1,
      reorder: 0.05,
      outage: { share: 0.25, seconds: 2 },
      tests: true,
      stalls: [{ peer: 'Cleo', seconds: 5, everySeconds: 15 }],
      cuts: [{ between: ['Anna', 'Cleo'], steps: [10, 20] }],
    });
  });

  for (const [fields, complaint] of [
    [{ stallPeer: '1', stallSeconds: '5', stallEvery: '5' }, 'Say for how long Ben stalls, and in every how'],
    [
      { cutLink: '0', cutFirst: '9', cutLast: '3' },
      'Say from which step to which the link between Anna and Ben',
    ],
  ] as const) {
    it(`says what is missing: ${complaint}`, async () => {
      const { view, config } = await started(fields);
      expect(alert(view)).to.contain(complaint);
      expect(config).to.equal(undefined);
    });
  }

  for (const scheme of ['light', 'dark'] as const) {
    it(`has accessible fields in ${scheme}`, async () => {
      const undress = dress(scheme);
      const view = await open(new FakeRoom());
      within(view, 'ep-run-form', 'details').toggleAttribute('open', true);
      within(view, ...SETTINGS, 'details').toggleAttribute('open', true);
      await expect(view).to.be.accessible();
      undress();
    });
  }
});

describe('poor links on the page', () => {
  const training = (partsInTime: number, links: Partial<RoomSnapshot> = {}) => {
    const config = runConfig({ steps: 100, rule: 'deadline' });
    return new FakeRoom('training', { run: { ...runIn('training'), config, partsInTime }, ...links });
  };

  it('says how much comes too late, and what training does about it', async () => {
    const view = await open(training(0.812));
    expect(readable(view)).to.match(/Parts in time 81\.2%/);
    expect(readable(view)).to.contain(
      'Links are poor: of what this device waits for, 19% comes late or not at all. Training goes on without it.',
    );
  });

  it('says nothing where nearly all is in time', async () => {
    expect(readable(await open(training(0.99)))).to.not.contain('poor');
  });

  it('marks a link that is slow or lossy', async () => {
    const [link] = new FakeRoom().state.links;
    const view = await open(training(1, { links: [{ ...link, rttMs: 320 }] }));
    expect(readable(view)).to.contain('320 ms, poor');
    expect(readable(view)).to.contain('One link is poor. Training goes on, slower.');
  });
});
