import { expect, fixture, html } from '@open-wc/testing';
import { EpApp } from '../../../client/app/ep-app.ts';
import { readable, within } from './page.ts';

const SECRET = 'abcdefghijklmnopqrstuv';

function put(href: string): { app: EpApp; failures: string[] } {
  const app = new EpApp();
  const failures: string[] = [];
  app.href = href;
  app.addEventListener('ep-failed', ({ detail }) => failures.push(detail));
  return { app, failures };
}

describe('the page', () => {
  it('is the landing page at the root', async () => {
    const { app } = put('http://here/');
    await fixture(html`${app}`);
    expect(readable(app)).to.contain('Create a room');
    expect(document.title).to.equal('EdgePipe');
  });

  it('asks for a name at the link of a room', async () => {
    const { app, failures } = put(`http://here/r/ACDEFG?name=Anna#${SECRET}`);
    await fixture(html`${app}`);
    expect(within<HTMLInputElement>(app, 'ep-joining', 'input').value).to.equal('Anna');
    expect(document.title).to.equal('Room ACDEFG · EdgePipe');
    expect(failures).to.deep.equal([]);
  });

  it('shows and tells what is wrong with its address, even where it should join by itself', async () => {
    const { app, failures } = put(`http://here/r/ACDEFG?auto=1&device-ms=soon#${SECRET}`);
    await fixture(html`${app}`);
    expect(failures).to.have.length(1);
    expect(failures[0]).to.contain('device-ms=soon');
    expect(readable(within(app, 'ep-joining')))
      .to.contain(failures[0])
      .and.to.contain('Try again');
  });
});
