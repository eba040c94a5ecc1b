import { css, html, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import type { RoomSnapshot } from '../room.ts';
import { isRunning, people, type Person } from './room-view.ts';
import { sharedStyles } from './styles.ts';
import { bytes, roundTrip } from './wording.ts';

/** Who is here: what each computes with, what it holds, and how good the link to it is. */
@customElement('ep-peers')
export class EpPeers extends LitElement {
  static override styles = [
    sharedStyles,
    css`
      li {
        padding-block: 0.625rem;
        border-top: 1px solid var(--ep-line);
      }
      li:first-child {
        border-top: 0;
        padding-top: 0;
      }
      li:last-child {
        padding-bottom: 0;
      }
      .name {
        font-weight: 600;
        overflow-wrap: anywhere;
      }
      .row {
        gap: 0.125rem 0.5rem;
      }
      .badge.open::before,
      .badge.connecting::before,
      .badge.poor::before,
      .badge.broken::before {
        content: '';
        display: inline-block;
        width: 0.5rem;
        height: 0.5rem;
        margin-right: 0.375rem;
        border-radius: 50%;
        background: currentColor;
      }
      .badge.open {
        background: var(--ep-accent-soft);
        color: var(--ep-accent);
      }
      .badge.poor,
      .badge.connecting {
        background: var(--ep-warning-soft);
        color: var(--ep-warning);
      }
      .badge.broken {
        background: var(--ep-danger-soft);
        color: var(--ep-danger);
      }
    `,
  ];

  /** The room at this moment. */
  @property({ attribute: false }) snapshot!: RoomSnapshot;

  protected override render() {
    const list = people(this.snapshot);
    return html`
      <h2>Who is here (${list.length})</h2>
      <ul>
        ${repeat(
          list,
          ({ id }) => id,
          (person) => this.#person(person),
        )}
      </ul>
    `;
  }

  #person(person: Person) {
    const { name, isSelf, peer } = person;
    return html`<li>
      <div class="row">
        <span class="name">${name}</span>
        ${isSelf ? html`<span class="badge">this device</span>` : nothing}
        ${peer?.isCoordinator ? html`<span class="badge strong">coordinator</span>` : nothing}
        ${
          peer && peer.device.emulatedMs !== null
            ? html`<span class="badge warning">emulated: ${peer.device.emulatedMs} ms</span>`
            : nothing
        }
        ${
          peer && peer.device.memoryBytes !== null
            ? html`<span class="badge warning">at most ${bytes(peer.device.memoryBytes)}</span>`
            : nothing
        }
        ${this.#link(person)}
      </div>
      ${peer ? this.#device(peer) : html`<p class="muted small">Not linked yet.</p>`}
      ${
        person.link?.present === false
          ? html`<p class="muted small">The server has lost sight of this peer.</p>`
          : nothing
      }
      ${person.link?.note ? html`<p class="notice small">${person.link.note}</p>` : nothing}
    </li>`;
  }

  #link({ link, rttMs, isPoor }: Person) {
    if (!link) return nothing;
    const measured = link.link === 'open' && rttMs !== null;
    return html`<span class="badge ${measured && isPoor ? 'poor' : link.link}"
      ><span class="visually-hidden">${measured ? 'link open, round trip ' : 'link '}</span>${
        measured ? `${roundTrip(rttMs)}${isPoor ? ', poor' : ''}` : link.link
      }</span
    >`;
  }

  #device({ device, layers }: NonNullable<Person['peer']>) {
    const { backend, where, browser, note } = device;
    const computes = `${browser} · ${backend === 'webgl' ? 'WebGL' : 'CPU'} ${where === 'worker' ? 'in a worker' : 'on the page'}`;
    return html`
      <p class="muted small">${computes}</p>
      ${note ? html`<p class="muted small">${note}</p>` : nothing}
      ${this.snapshot.run.plan ? html`<p class="small">${this.#holds(layers)}</p>` : nothing}
    `;
  }

  #holds(layers: readonly string[]): string {
    if (layers.length > 0) return `Holds ${layers.join(', ')}`;
    return isRunning(this.snapshot.run) ? 'Stands by' : 'Stood by';
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'ep-peers': EpPeers;
  }
}
