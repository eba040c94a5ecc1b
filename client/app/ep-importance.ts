import { css, html, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { RoomSnapshot } from '../room.ts';
import { importanceRows, type ImportanceRow, type LayerScores } from './importance-view.ts';
import { hueOf } from './plan-picture.ts';
import { people } from './room-view.ts';
import { sharedStyles } from './styles.ts';
import { percent } from './wording.ts';

/** How important the units are that each peer has: a bar for each layer. */
@customElement('ep-importance')
export class EpImportance extends LitElement {
  static override styles = [
    sharedStyles,
    css`
      :host {
        --depth: 45%;
      }
      @media (prefers-color-scheme: dark) {
        :host {
          --depth: 60%;
        }
      }
      li {
        margin-top: 0.625rem;
      }
      .bar {
        display: flex;
        gap: 2px;
        height: 1rem;
        margin-top: 0.125rem;
      }
      .bar span {
        min-width: 2px;
        border-radius: 3px;
        background: hsl(var(--hue) 65% var(--depth));
      }
      .shares {
        display: flex;
        flex-wrap: wrap;
        gap: 0 1rem;
      }
      .shares span::before {
        content: '';
        display: inline-block;
        width: 0.625rem;
        height: 0.625rem;
        margin-right: 0.375rem;
        border-radius: 2px;
        background: hsl(var(--hue) 65% var(--depth));
      }
    `,
  ];

  /** The room at this moment: names of peers. */
  @property({ attribute: false }) snapshot!: RoomSnapshot;
  /** The plan that says who has which units. */
  @property({ attribute: false }) plan!: Plan;
  /** The run that it is for. */
  @property({ attribute: false }) config!: RunConfig;
  /** Scores of units by layer. */
  @property({ attribute: false }) importance: readonly LayerScores[] = [];

  protected override render() {
    const rows = importanceRows(this.plan, this.config, this.importance);
    if (rows.length === 0) return nothing;
    return html`
      <h2>Importance of units</h2>
      <p class="muted small">How much the loss hangs on the units that each peer has, layer by layer.</p>
      <ul>
        ${rows.map((row) => this.#row(row))}
      </ul>
    `;
  }

  #row({ layer, lanes }: ImportanceRow) {
    const holders = this.plan.stages.flatMap((stage) => stage.lanes);
    const hue = (peer: string) => `--hue: ${hueOf(holders.indexOf(peer))}`;
    const names = new Map(people(this.snapshot).map(({ id, name }) => [id, name]));
    return html`<li class="small">
      <p>${layer}</p>
      <div class="bar" aria-hidden="true">
        ${lanes.map(({ peer, importance }) => html`<span style="${hue(peer)}; flex: ${importance} 1 0"></span>`)}
      </div>
      <p class="shares">
        ${lanes.map(
          ({ peer, importance, units }) =>
            html`<span style=${hue(peer)}
              >${names.get(peer) ?? 'a peer that left'}
              ${percent(importance)}${lanes.length > 1 ? ` with ${percent(units)} of the units` : ''}</span
            >`,
        )}
      </p>
    </li>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'ep-importance': EpImportance;
  }
}
