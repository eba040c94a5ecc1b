import { aTimeout, expect, waitUntil } from '@open-wc/testing';
import '../../../client/app/ep-room.ts';
import type { EpRunSettings } from '../../../client/app/ep-run-settings.ts';
import type { EpRoom } from '../../../client/app/ep-room.ts';
import { makePlan } from '../../../client/planner/plan.ts';
import type { Phase } from '../../../shared/schema/control.ts';
import { requestOf } from '../../planner/requests.ts';
import { roomOf } from '../../planner/rooms.ts';
import { FakeRoom, member, runIn } from './fake-room.ts';
import { dress, readable, within } from './page.ts';
import { alert, button, open, press, SECRET, set, SETTINGS } from './room-page.ts';

function choose(view: EpRoom, files: File[]): void {
  const chosen = new DataTransfer();
  for (const file of files) chosen.items.add(file);
  within<HTMLInputElement>(view, ...SETTINGS, '[name=files]').files = chosen.files;
}

/** One layer, its weights in `w.bin`. */
function modelFile(className = 'Dense'): File {
  const config = { name: 'scores', units: 10, batch_input_shape: [null, 784] };
  const weights = [
    { name: 'scores/kernel', shape: [784, 10], dtype: 'float32' },
    { name: 'scores/bias', shape: [10], dtype: 'float32' },
  ];
  const json = {
    modelTopology: { class_name: 'Sequential', config: { layers: [{ class_name: className, config }] } },
    weightsManifest: [{ paths: ['w.bin'], weights }],
  };
  return new File([JSON.stringify(json)], 'model.json');
}

const reason = (view: EpRoom) => readable(within(view, 'ep-run-form', '#why'));

describe('the run in a room', () => {
  const sentences: Record<Phase, RegExp> = {
    idle: /No run yet/,
    preparing: /Preparing: Loading data and blocks on 3 peers/,
    training: /Training for 100 steps.*40 of 100.*640.*1 min 15 s/,
    paused: /Paused. Ben left the room/,
    evaluating: /Testing the model/,
    finished: /97\.12% of 10,000 test samples are right.*Download report/,
    failed: /The run failed. The device of Ben ran out of memory/,
  };
  for (const [phase, sentence] of Object.entries(sentences) as [Phase, RegExp][]) {
    it(`shows a run that is ${phase}`, async () => {
      const view = await open(new FakeRoom(phase));
      expect(readable(view)).to.match(sentence);
      const running = ['preparing', 'training', 'paused', 'evaluating'].includes(phase);
      expect(button(view, 'start').disabled).to.equal(running);
      expect(button(view, 'stop').disabled).to.equal(!running);
      expect(within(view, 'ep-run-form').shadowRoot!.querySelector('#go-on') !== null).to.equal(
        phase === 'paused',
      );
      expect(view.shadowRoot!.querySelector('ep-chart') !== null).to.equal(
        !['idle', 'preparing'].includes(phase),
      );
    });
  }

  it('starts with what the form says', async () => {
    const room = new FakeRoom();
    const view = await open(room);
    set(view, 'steps', '250');
    set(view, 'optimizer', 'sgd');
    await press(view, 'start');
    expect(room.started[0]).to.deep.include({
      steps: 250,
      batch: 128,
      microBatches: 4,
      seed: 1,
      onDeparture: 'ask',
      task: 'mnist',
      partition: 'auto',
      grid: null,
      shares: 'measured',
      wire: 'auto',
    });
    expect(room.started[0].optimizer).to.deep.equal({ kind: 'sgd', learningRate: 0.3, decay: 'linear' });
    expect(room.brought[0]).to.deep.equal([]);
  });

  it('starts with the model and the partition that a person chose', async () => {
    const room = new FakeRoom();
    const view = await open(room);
    for (const [name, value] of [
      ['model', 'resnet'],
      ['partition', 'horizontal'],
      ['grid', '1x3'],
      ['shares', 'even'],
      ['wire', 'int8'],
    ] as const) {
      set(view, name, value);
    }
    await press(view, 'start');
    expect(room.started[0].model.name).to.equal('resnet');
    expect(room.started[0].optimizer.learningRate).to.equal(0.01);
    expect(room.started[0]).to.deep.include({
      partition: 'horizontal',
      grid: { stages: 1, lanes: 3 },
      shares: 'even',
      wire: 'int8',
    });
  });

  for (const [grid, partition, complaint] of [
    ['2x2', 'auto', 'The grid 2x2 needs 4 peers, but 3 are here: let 1 more join, or choose a smaller grid.'],
    ['2', 'auto', 'The grid wants stages x lanes such as 2x2, each from 1 to 16, or auto, not "2".'],
    ['1x3', 'vertical', 'The grid 1x3 has 3 lanes, but a vertical partition has stages alone: 3x1.'],
  ] as const) {
    it(`says why a grid of ${grid} is not possible (${partition})`, async () => {
      const room = new FakeRoom();
      const view = await open(room);
      set(view, 'grid', grid);
      set(view, 'partition', partition);
      await press(view, 'start');
      expect(room.started).to.deep.equal([]);
      expect(alert(view)).to.equal(complaint);
      set(view, 'grid', 'auto');
      set(view, 'partition', 'auto');
      await press(view, 'start');
      expect(room.started).to.have.length(1);
      expect(alert(view)).to.equal('');
    });
  }

  it('shows the field that is not filled in rightly', async () => {
    const room = new FakeRoom();
    const view = await open(room);
    set(view, 'steps', '');
    await press(view, 'start');
    expect(room.started).to.deep.equal([]);
    expect(within<HTMLDetailsElement>(view, 'ep-run-form', 'details').open).to.equal(true);
  });

  it('starts with a model from files, and its weights', async () => {
    const room = new FakeRoom();
    const view = await open(room);
    set(view, 'model', 'file');
    await within<EpRunSettings>(view, ...SETTINGS).updateComplete;
    await press(view, 'start');
    expect(alert(view)).to.match(/^Choose the model\.json of a saved tf\.LayersModel/);

    choose(view, [modelFile()]);
    await press(view, 'start');
    expect(alert(view)).to.equal('model.json has its weights in w.bin: choose that file together with it.');
    expect(room.started).to.deep.equal([]);

    choose(view, [modelFile(), new File([new Float32Array(7850).fill(0.5)], 'w.bin')]);
    await press(view, 'start');
    expect(alert(view)).to.equal('');
    expect(room.started[0].model.layers.map(({ name }) => name)).to.deep.equal(['scores']);
    const [{ layer, parameters }] = room.brought[0];
    expect(layer).to.equal('scores');
    expect(parameters.map(({ name, data }) => [name, data.length])).to.deep.equal([
      ['scores/kernel', 7840],
      ['scores/bias', 10],
    ]);
  });

  it('names the layer of a model that cannot be trained, and the layers that can', async () => {
    const room = new FakeRoom();
    const view = await open(room);
    set(view, 'model', 'file');
    await within<EpRunSettings>(view, ...SETTINGS).updateComplete;
    choose(view, [modelFile('LSTM'), new File([new Uint8Array(4)], 'w.bin')]);
    await press(view, 'start');
    expect(alert(view)).to.match(
      /^Layer scores is of class LSTM, which is not supported: replace it or leave it out\. Supported: .*Dense, Conv2D/,
    );
    expect(room.started).to.deep.equal([]);
    await expect(view).to.be.accessible();
  });

  it('says how much memory is missing where the model fits nowhere', async () => {
    const { config, devices, links } = roomOf({}, [100, 100]);
    for (const device of devices) device.memoryBytes = 1e6;
    let message = '';
    try {
      makePlan(requestOf({ config, devices, links }));
    } catch (error) {
      ({ message } = error as Error);
    }
    const run = { ...runIn('failed'), message, plan: null, last: null, stepsDone: 0 };
    const view = await open(new FakeRoom('failed', { run }));
    expect(readable(within(view, 'ep-run-status'))).to.match(
      /^The run failed\. The model needs [\d.]+ MB of memory and the room has 2\.0 MB on 2 peers: [\d.]+ MB are missing, .* Let more or larger devices join, choose a smaller model, or smaller micro-batches\.$/,
    );
    expect(view.shadowRoot!.querySelector('ep-plan')).to.equal(null);
    expect(button(view, 'start').disabled).to.equal(false);
    await expect(view).to.be.accessible();
  });

  it('does not start a task whose data the server has not', async () => {
    const room = new FakeRoom();
    const view = await open(room);
    set(view, 'task', 'fashion');
    await press(view, 'start');
    await waitUntil(() => alert(view) !== '');
    expect(room.started).to.deep.equal([]);
  });

  it('says no more what was wrong once a run goes on', async () => {
    const room = new FakeRoom();
    const view = await open(room);
    room.refuses = 'No, not now.';
    await press(view, 'start');
    set(view, 'grid', '4x4');
    await press(view, 'start');
    expect(alert(view)).to.match(/^The grid 4x4/);
    room.become({ run: runIn('training') });
    await waitUntil(() => alert(view) === '');
    room.become({ run: runIn('finished') });
    // While training the page looks once a second.
    await waitUntil(() => readable(view).includes('Download report'), undefined, { timeout: 5000 });
    expect(alert(view)).to.equal('');
  });

  it('says why a start was refused', async () => {
    const room = new FakeRoom();
    room.refuses = 'A run is going on already.';
    const view = await open(room);
    await press(view, 'start');
    expect(alert(view)).to.equal(room.refuses);
  });

  it('goes on and stops when told to', async () => {
    const room = new FakeRoom('paused');
    const view = await open(room);
    button(view, 'go-on').click();
    button(view, 'stop').click();
    expect(room.calls).to.deep.equal(['goOn', 'stop']);
  });

  it('says why a download failed', async () => {
    const view = await open(new FakeRoom('finished'));
    for (const [id, problem] of [
      ['report', 'There is no report.'],
      ['model', 'Layer dense_1 is not here any more.'],
    ]) {
      within(view, 'ep-results', `#${id}`).click();
      await aTimeout(50);
      expect(readable(within(view, 'ep-results', '[role=alert]'))).to.equal(problem);
    }
  });

  for (const [why, changes] of [
    ['Linking up with Dan.', { roster: [member('pddddddddd', 'Dan', { link: 'connecting' })] }],
    ['The peers are electing a coordinator.', { term: null, settled: false }],
    ['The peers are measuring their links.', { settled: false }],
    ['A run is going on.', { run: runIn('training') }],
  ] as const) {
    it(`cannot start: ${why}`, async () => {
      const view = await open(
        new FakeRoom('idle', { ...changes } as ConstructorParameters<typeof FakeRoom>[1]),
      );
      expect(button(view, 'start').disabled).to.equal(true);
      expect(reason(view)).to.equal(why);
    });
  }

  it('can start without a peer whose link is broken, and says so', async () => {
    const dan = member('pddddddddd', 'Dan', { link: 'broken', note: 'A firewall is in the way.' });
    const view = await open(new FakeRoom('idle', { roster: [dan] }));
    expect(button(view, 'start').disabled).to.equal(false);
    expect(readable(view)).to.contain('No link to Dan').and.to.contain('A firewall is in the way.');
  });
});

describe('a new plan', () => {
  const anew = (view: EpRoom) => within<HTMLButtonElement>(view, 'ep-plan', '#anew');
  const beside = (view: EpRoom) => readable(within(view, 'ep-plan', '#why'));

  it('can be asked for while a run trains, and says what it does', async () => {
    const room = new FakeRoom('training');
    const view = await open(room);
    expect(beside(view)).to.match(
      /^Measures devices again, .* mattered most so far to fast, well linked, steady peers\.$/,
    );
    anew(view).click();
    expect(room.calls).to.deep.equal(['replan']);
  });

  for (const [phase, why] of [
    ['preparing', 'A plan is being made already: devices are measured and blocks loaded.'],
    ['paused', 'Training is paused: a new plan is made when it goes on.'],
    ['evaluating', 'Training is over: the model is being tested.'],
    ['finished', 'No run goes on.'],
    ['failed', 'No run goes on.'],
  ] as const) {
    it(`cannot be asked for while a run is ${phase}, and says why`, async () => {
      const view = await open(new FakeRoom(phase));
      expect(anew(view).disabled).to.equal(true);
      expect(beside(view)).to.equal(why);
    });
  }

  it('says why it was refused, until it is not', async () => {
    const room = new FakeRoom('training');
    const view = await open(room);
    const alarm = () => readable(within(view, 'ep-plan', '[role=alert]'));
    room.refuses = 'No new plan now. Training is paused.';
    anew(view).click();
    await aTimeout(50);
    expect(alarm()).to.equal(room.refuses);
    room.refuses = '';
    anew(view).click();
    await aTimeout(50);
    expect(alarm()).to.equal('');
    expect(room.calls).to.deep.equal(['replan']);
  });
});

describe('a room', () => {
  it('lists who is here, with devices, links and blocks', async () => {
    const view = await open(new FakeRoom('training'));
    const items = [...within(view, 'ep-peers').shadowRoot!.querySelectorAll('li')].map(readable);
    expect(items[0]).to.match(/^Anna this device Chrome 156 on Linux · WebGL in a worker Holds dense_1/);
    expect(items[1]).to.match(/^Ben coordinator link open, round trip 4\.3 ms/);
    expect(items[2]).to.match(
      /^Cleo emulated: 200 ms at most 64\.0 MB link open Safari 18 on iOS · CPU.*Stands by/,
    );
  });

  it('names peers of the plan that have left', async () => {
    const room = new FakeRoom('training');
    const view = await open(room);
    const { peers, roster } = room.state;
    room.become({ peers: peers.slice(0, 1), roster: roster.slice(1) });
    await aTimeout(500);
    expect(readable(within(view, 'ep-plan')))
      .to.contain('Ben (gone)')
      .and.to.contain('Standing by: Cleo');
  });

  it('says that the server is away', async () => {
    const view = await open(
      new FakeRoom('training', { signaling: { state: 'away', message: 'No answer.' } }),
    );
    expect(readable(view)).to.contain('Server unreachable; training goes on');
  });

  it('shows events, the latest first, and refused messages', async () => {
    const view = await open(new FakeRoom('training'));
    const log = readable(within(view, 'ep-events', '[role=log]'));
    expect(log).to.equal('1:05 Second 0:00 First');
    expect(readable(within(view, 'ep-events', 'details'))).to.match(
      /Refused messages \( ?2 ?\) plan-malformed 2/,
    );
  });

  it('draws the curves in both colours, and in words for who cannot see them', async () => {
    const undress = dress('light');
    const view = await open(new FakeRoom('training'));
    const canvas = within<HTMLCanvasElement>(view, 'ep-chart', 'canvas');
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set<string>();
    for (let i = 0; i < data.length; i += 4) seen.add(data.slice(i, i + 3).join());
    expect(seen.has('194,65,12') && seen.has('11,102,150')).to.equal(true);
    const words = within(view, 'ep-chart', '#plot').getAttribute('aria-label');
    expect(words).to.equal('Over 40 steps the loss went from 2.30 to 0.21, the accuracy from 10% to 88%.');
    undress();
  });

  it('gives a link and a QR code', async () => {
    const view = await open(new FakeRoom());
    // Where this page can be reached is asked of the server first.
    await waitUntil(() => view.shadowRoot!.querySelector('ep-invite')?.shadowRoot?.querySelector('input'));
    const link = within<HTMLInputElement>(view, 'ep-invite', 'input').value;
    expect(link).to.match(new RegExp(`^https?://[^/]+/r/ACDEFG#${SECRET}$`));
    expect(within<HTMLImageElement>(view, 'ep-invite', 'img').src).to.match(/^data:image\/svg/);
  });

  for (const [phase, least, most] of [
    ['idle', 2, 5],
    ['training', 1, 2],
  ] as const)
    it(`looks ${least} to ${most} times a second while ${phase}, and stops looking once removed`, async () => {
      const room = new FakeRoom(phase);
      const view = await open(room);
      let looks = 0;
      const { snapshot } = room;
      room.snapshot = () => {
        looks++;
        return snapshot();
      };
      const until = performance.now() + 1000;
      while (performance.now() < until) {
        room.become({});
        await aTimeout(5);
      }
      expect(looks).to.be.within(least, most);
      view.remove();
      expect(room.listeners).to.equal(0);
    });

  for (const scheme of ['light', 'dark'] as const) {
    for (const phase of ['idle', 'training', 'paused', 'failed', 'finished'] as const) {
      it(`is accessible in ${scheme} while ${phase}`, async () => {
        const undress = dress(scheme);
        const view = await open(new FakeRoom(phase));
        within(view, 'ep-run-form', 'details').toggleAttribute('open', true);
        await expect(view).to.be.accessible();
        undress();
      });
    }
  }
});
