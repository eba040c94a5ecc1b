import { expect, fixture, html } from '@open-wc/testing';
import '../../../client/app/ep-importance.ts';
import '../../../client/app/ep-plan.ts';
import type { EpImportance } from '../../../client/app/ep-importance.ts';
import type { EpPlan } from '../../../client/app/ep-plan.ts';
import { runConfig } from '../../../client/defaults.ts';
import { lanesStage, oneLaneStage, planOf } from '../../support/plans.ts';
import { FakeRoom } from './fake-room.ts';
import { dress, readable } from './page.ts';

const config = runConfig();
const { state: snapshot } = new FakeRoom('training');
const [anna, ben, cleo] = snapshot.peers.map(({ id }) => id);
const lanes = planOf(
  [lanesStage(config.model, [0, 5], [anna, ben], [3, 2]), oneLaneStage([5, 11], cleo)],
  anna,
);

async function draw(plan = lanes, width = '50rem'): Promise<EpPlan> {
  const frame = await fixture(html`
    <div style="width: ${width}">
      <ep-plan .snapshot=${snapshot} .plan=${plan} .config=${config}></ep-plan>
    </div>
  `);
  const element = frame.querySelector('ep-plan')!;
  await element.updateComplete;
  return element;
}

const all = (element: EpPlan, selector: string) => [...element.shadowRoot!.querySelectorAll(selector)];

describe('the picture of a plan', () => {
  it('has a box for each lane, as high as its share, with its units and its role', async () => {
    const element = await draw();
    const boxes = all(element, '.box');
    expect(boxes.map(readable)).to.deep.equal([
      'Anna owner 60% dense_1 154/256 dense_2 154/256',
      'Ben deputy 40% dense_1 102/256 dense_2 102/256',
      'Cleo dense_3 dense_4',
    ]);
    const [first, second, alone] = boxes.map((box) => box.getBoundingClientRect());
    expect(first.height / second.height).to.be.closeTo(154 / 102, 0.03);
    expect(first.height + second.height).to.be.closeTo(alone.height, 1);
    expect(alone.left).to.be.greaterThan(first.right);
    for (const box of boxes) expect(box.scrollHeight).to.be.at.most(box.clientHeight);
  });

  it('says what crosses between stages and between lanes, and draws who sends to whom', async () => {
    const element = await draw();
    expect(readable(all(element, '.kind')[0])).to.equal('gather');
    expect(readable(all(element, '.inner')[0])).to.equal('↕ reduce');
    const widths = all(element, 'path').map((path) => Number(path.getAttribute('stroke-width')));
    expect(widths).to.deep.equal([5.1, 3.9]);
  });

  it('says what is predicted and why', async () => {
    expect(readable(await draw())).to.contain('Predicted: 204 ms a step. Two stages beat one by 22%');
  });

  it('is a list for who cannot see it', async () => {
    const element = await draw();
    expect(all(element, '[role=img]')[0].getAttribute('aria-label')).to.equal(
      'The plan. stage 1: Anna 60%, Ben 40%, then gather; stage 2: Cleo.',
    );
    expect(all(element, 'ol > li').map(readable)).to.deep.equal([
      'Stage 1 : dense_1, dense_2 Anna, its owner: 60% of the stage: dense_1 154/256, dense_2 154/256; ' +
        '140,679 parameters, about 4.0 MB. ' +
        'Ben, its deputy: 40% of the stage: dense_1 102/256, dense_2 102/256; 93,177 parameters, about 4.0 MB. ' +
        'Between its lanes: reduce after dense_2. To stage 2: gather after dense_2.',
      'Stage 2 : dense_2, dense_3, dense_4 Cleo: dense_3, dense_4; 8,906 parameters, about 4.0 MB.',
    ]);
  });

  it('stands one below the other on a phone', async () => {
    const element = await draw(lanes, '20rem');
    const [first, second, alone] = all(element, '.box').map((box) => box.getBoundingClientRect());
    expect(alone.top).to.be.greaterThan(second.bottom);
    expect(alone.left).to.equal(first.left);
    expect(element.scrollWidth).to.be.at.most(320);
  });

  for (const scheme of ['light', 'dark'] as const) {
    it(`is accessible in ${scheme}`, async () => {
      const undress = dress(scheme);
      const element = await draw();
      all(element, 'details')[0].toggleAttribute('open', true);
      await expect(element).to.be.accessible();
      undress();
    });
  }
});

describe('the importance of units', () => {
  const show = (importance: EpImportance['importance'], plan = lanes) =>
    fixture<EpImportance>(
      html`<ep-importance
        .snapshot=${snapshot}
        .plan=${plan}
        .config=${config}
        .importance=${importance}
      ></ep-importance>`,
    );

  it('is a bar for each layer, with the share of each lane', async () => {
    const scores = Array.from({ length: 256 }, (_, unit) => (unit < 64 ? 3 : 1));
    const element = await show([{ layer: 'dense_1', scores }]);
    const words = readable(element);
    expect(words).to.contain('dense_1 Anna 73% with 60% of the units Ben 27% with 40% of the units');
    const widths = [...element.shadowRoot!.querySelectorAll('.bar span')].map(
      (part) => part.getBoundingClientRect().width,
    );
    expect(widths[0] / widths[1]).to.be.closeTo(282 / 102, 0.1);
    await expect(element).to.be.accessible();
  });

  it('is nothing where nothing was measured', async () => {
    for (const scores of [[], [1, 2], new Array<number>(256).fill(0)]) {
      expect(readable(await show([{ layer: 'dense_1', scores }]))).to.equal('');
    }
  });
});
