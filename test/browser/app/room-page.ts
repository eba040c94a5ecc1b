import { aTimeout, fixture, html, waitUntil } from '@open-wc/testing';
import '../../../client/app/ep-room.ts';
import type { EpRoom } from '../../../client/app/ep-room.ts';
import type { FakeRoom } from './fake-room.ts';
import { readable, within } from './page.ts';

export const SECRET = 'abcdefghijklmnopqrstuv';

/** The page of a room, drawn. */
export async function open(room: FakeRoom): Promise<EpRoom> {
  const view = await fixture<EpRoom>(html`<ep-room .room=${room} .secret=${SECRET}></ep-room>`);
  await waitUntil(
    () => readable(view).includes('Invite others') && view.shadowRoot?.querySelector('ep-invite'),
  );
  await aTimeout(50);
  return view;
}

export const button = (view: EpRoom, id: string) => within<HTMLButtonElement>(view, 'ep-run-form', `#${id}`);
export const alert = (view: EpRoom) => readable(within(view, 'ep-run-form', '[role=alert]'));
/** Where fields are, for `within`. */
export const SETTINGS = ['ep-run-form', 'ep-run-settings'] as const;

export function set(view: EpRoom, name: string, value: string): void {
  const field = within<HTMLInputElement | HTMLSelectElement>(view, ...SETTINGS, `[name=${name}]`);
  field.value = value;
  field.dispatchEvent(new Event('change'));
}

export async function press(view: EpRoom, id: string): Promise<void> {
  button(view, id).click();
  await aTimeout(50);
}
