import { css, html, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import type { RunEvent } from '../../shared/schema/control.ts';
import { sharedStyles } from './styles.ts';
import { count, moment } from './wording.ts';

/** More than a person scrolls through; the report has them all. */
const SHOWN = 50;

/** What happened in the run, the latest first, and what this peer refused to take from others. */
@customElement('ep-events')
export class EpEvents extends LitElement {
  static override styles = [
    sharedStyles,
    css`
      [role='log'] {
        max-height: 18rem;
        overflow-y: auto;
      }
      li {
        display: grid;
        grid-template-columns: 3.25rem minmax(0, 1fr);
        padding-block: 0.25rem;
        overflow-wrap: anywhere;
      }
      time {
        color: var(--ep-muted);
        font-variant-numeric: tabular-nums;
      }
      details {
        margin-top: 0.5rem;
      }
      details li {
        grid-template-columns: minmax(0, 1fr) auto;
      }
    `,
  ];

  /** What happened, in order. */
  @property({ attribute: false, hasChanged: () => true }) events: readonly RunEvent[] = [];
  /** Refused messages by reason. */
  @property({ attribute: false }) refused: Record<string, number> = {};

  protected override render() {
    const latest = this.events.slice(-SHOWN).reverse();
    return html`
      <h2 id="title">What happened</h2>
      <div role="log" aria-labelledby="title" tabindex="0" class="small">
        ${
          latest.length === 0
            ? html`<p class="muted">Nothing yet.</p>`
            : html`<ul>
                ${repeat(
                  latest,
                  (event) => event,
                  ({ t_ms, message }) => html`<li><time>${moment(t_ms)}</time><span>${message}</span></li>`,
                )}
              </ul>`
        }
      </div>
      ${this.#refusals()}
    `;
  }

  #refusals() {
    const reasons = Object.entries(this.refused).sort(([, a], [, b]) => b - a);
    if (reasons.length === 0) return nothing;
    const total = reasons.reduce((sum, [, times]) => sum + times, 0);
    return html`<details>
      <summary>Refused messages (${count(total)})</summary>
      <ul class="small">
        ${reasons.map(([reason, times]) => html`<li><span>${reason}</span><span>${count(times)}</span></li>`)}
      </ul>
    </details>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'ep-events': EpEvents;
  }
}
