import { css, html, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { PeerId } from '../../shared/ids.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { RoomSnapshot } from '../room.ts';
import { people } from './room-view.ts';
import { sharedStyles } from './styles.ts';
import { count } from './wording.ts';

/** The plan: its stages in order, with the peers and layers of each. */
@customElement('ep-plan')
export class EpPlan extends LitElement {
  static override styles = [
    sharedStyles,
    css`
      ol {
        display: flex;
        flex-wrap: wrap;
        gap: 0.5rem 1.75rem;
      }
      li {
        position: relative;
        flex: 1 1 8rem;
        border: 1px solid var(--ep-control-line);
        border-radius: 8px;
        padding: 0.5rem 0.75rem;
        overflow-wrap: anywhere;
      }
      li + li::before {
        content: '→' / '';
        position: absolute;
        left: -1.375rem;
        top: 50%;
        translate: 0 -50%;
        color: var(--ep-muted);
      }
      .peer {
        font-weight: 600;
      }
      p + p {
        margin-top: 0.125rem;
      }
      ol + p {
        margin-top: 0.5rem;
      }
    `,
  ];

  /** The room at this moment: names of peers. */
  @property({ attribute: false }) snapshot!: RoomSnapshot;
  /** The plan to show. */
  @property({ attribute: false }) plan!: Plan;
  /** Names outlive the peers that left while this element was there. */
  readonly #names = new Map<PeerId, string>();

  protected override willUpdate(): void {
    for (const { id, name } of people(this.snapshot)) this.#names.set(id, name);
  }

  protected override render() {
    const { stages, standby, predicted, version } = this.plan;
    const waiting = standby.map((peer) => this.#nameOf(peer));
    return html`
      <h2>Plan ${version}</h2>
      <ol>
        ${stages.map((stage, i) => this.#stage(stage, i))}
      </ol>
      <p class="muted small">
        Predicted: ${count(Math.round(predicted.stepMs))} ms a step.
        ${waiting.length > 0 ? html`Standing by: ${waiting.join(', ')}.` : nothing}
      </p>
    `;
  }

  #stage({ layers, lanes }: Plan['stages'][number], index: number) {
    return html`<li>
      <p class="muted small">Stage ${index + 1}</p>
      ${lanes.map(({ peer }) => html`<p class="peer">${this.#nameOf(peer)}</p>`)}
      <p class="small">${layers.join(', ')}</p>
    </li>`;
  }

  #nameOf(id: PeerId): string {
    const name = this.#names.get(id);
    const isHere = this.snapshot.peers.some((peer) => peer.id === id);
    return isHere ? name! : name === undefined ? 'a peer that left' : `${name} (gone)`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'ep-plan': EpPlan;
  }
}
