import { expect, fixture, html, oneEvent } from '@open-wc/testing';
import '../../../client/app/ep-joining.ts';
import '../../../client/app/ep-landing.ts';
import type { EpJoining } from '../../../client/app/ep-joining.ts';
import type { EpLanding } from '../../../client/app/ep-landing.ts';
import { dress, readable, within } from './page.ts';

const open = () => fixture<EpLanding>(html`<ep-landing name="Calm Otter"></ep-landing>`);

async function enter(landing: EpLanding, text: string): Promise<void> {
  within<HTMLInputElement>(landing, '#invitation').value = text;
  within<HTMLFormElement>(landing, 'form').requestSubmit();
  await landing.updateComplete;
}

describe('landing', () => {
  it('creates a room under the name given', async () => {
    const landing = await open();
    within<HTMLInputElement>(landing, '#name').value = ' Anna ';
    setTimeout(() => within(landing, '#create').click());
    const event = await oneEvent(landing, 'ep-create');
    expect(event.detail).to.deep.equal({ name: 'Anna' });
  });

  it('joins by a code, however it is written', async () => {
    const landing = await open();
    setTimeout(() => void enter(landing, 'acd efg'));
    const event = await oneEvent(landing, 'ep-invited');
    expect(event.detail).to.deep.equal({ name: 'Calm Otter', code: 'ACDEFG', secret: null });
  });

  it('says what is wrong with a code or link, until it is changed', async () => {
    const landing = await open();
    landing.addEventListener('ep-invited', () => expect.fail('a bad code was taken'));
    for (const [text, problem] of [
      ['', 'Type the code'],
      ['B00000', 'is not a room code'],
      ['http://here/r/ACDEFG#bad', 'after # is damaged'],
    ]) {
      await enter(landing, text);
      expect(readable(within(landing, '[role=alert]'))).to.contain(problem);
      expect(within(landing, '#invitation').getAttribute('aria-invalid')).to.equal('true');
    }
    within(landing, '#invitation').dispatchEvent(new Event('input'));
    await landing.updateComplete;
    expect(readable(within(landing, '[role=alert]'))).to.equal('');
  });

  for (const scheme of ['light', 'dark'] as const) {
    it(`is accessible in ${scheme}`, async () => {
      const undress = dress(scheme);
      const landing = await open();
      await enter(landing, 'nonsense');
      await expect(landing).to.be.accessible();
      undress();
    });
  }
});

describe('joining', () => {
  it('asks for a name', async () => {
    const joining = await fixture<EpJoining>(html`<ep-joining code="ACDEFG" name="Anna"></ep-joining>`);
    setTimeout(() => within<HTMLFormElement>(joining, 'form').requestSubmit());
    const event = await oneEvent(joining, 'ep-enter');
    expect(event.detail).to.deep.equal({ name: 'Anna' });
    await expect(joining).to.be.accessible();
  });

  it('says which stage it is in', async () => {
    const joining = await fixture(html`<ep-joining code="ACDEFG" stage="Joining the room"></ep-joining>`);
    expect(readable(within(joining, '[role=status]'))).to.match(/^Joining the room ?…$/);
  });

  it('says why it failed and tries again', async () => {
    const joining = await fixture(
      html`<ep-joining code="ACDEFG" name="Anna" problem="The room is full."></ep-joining>`,
    );
    expect(readable(within(joining, '[role=alert]'))).to.equal('The room is full.');
    await expect(joining).to.be.accessible();
    setTimeout(() => within(joining, 'button').click());
    await oneEvent(joining, 'ep-enter');
  });
});
