import { css, html, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { RunView } from '../swarm/record/snapshot.ts';
import { sharedStyles } from './styles.ts';
import { count, duration, headline, percent } from './wording.ts';

/** What the run is doing: a sentence, a bar, and its figures. */
@customElement('ep-run-status')
export class EpRunStatus extends LitElement {
  static override styles = [
    sharedStyles,
    css`
      :host {
        margin-bottom: 1rem;
      }
      .headline {
        font-size: 1.125rem;
        font-weight: 600;
        line-height: 1.4;
        overflow-wrap: anywhere;
      }
      .headline.notice {
        font-size: 1rem;
        font-weight: 500;
      }
      progress {
        display: block;
        width: 100%;
        height: 0.75rem;
        margin-top: 0.75rem;
        border: 0;
        border-radius: 6px;
        overflow: hidden;
        background: var(--ep-sunken);
        accent-color: var(--ep-accent);
        appearance: none;
      }
      progress::-webkit-progress-bar {
        background: var(--ep-sunken);
      }
      progress::-webkit-progress-value {
        background: var(--ep-accent);
      }
      progress::-moz-progress-bar {
        background: var(--ep-accent);
      }
      progress:indeterminate,
      progress:indeterminate::-webkit-progress-bar {
        background: repeating-linear-gradient(
          -45deg,
          var(--ep-accent) 0 0.75rem,
          var(--ep-accent-soft) 0.75rem 1.5rem
        );
      }
      @media (prefers-reduced-motion: no-preference) {
        progress:indeterminate {
          animation: breathe 1.6s ease-in-out infinite alternate;
        }
        @keyframes breathe {
          to {
            opacity: 0.5;
          }
        }
      }
      dl {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(6.5rem, 1fr));
        gap: 0.5rem 1rem;
        margin-top: 0.75rem;
      }
      dt {
        color: var(--ep-muted);
        font-size: 0.8125rem;
      }
      dd {
        font-size: 1.125rem;
        font-variant-numeric: tabular-nums;
        white-space: nowrap;
      }
    `,
  ];

  /** The run as this peer sees it. */
  @property({ attribute: false }) run!: RunView;

  protected override render() {
    const { phase } = this.run;
    const tone = phase === 'failed' ? 'notice bad' : phase === 'paused' ? 'notice' : '';
    return html`
      <p class="headline ${tone}" role="status">${headline(this.run)}</p>
      ${this.#bar()} ${this.run.last ? this.#figures() : nothing}
    `;
  }

  #bar() {
    const { phase, share } = this.run;
    // The share of an evaluation is not told by everybody: without one the bar only says that something goes on.
    const unknown = phase === 'evaluating' && share === 0;
    if (unknown) return html`<progress aria-label="Test in progress"></progress>`;
    if (!['preparing', 'training', 'evaluating'].includes(phase)) return nothing;
    const label = phase === 'training' ? 'Steps done' : 'Progress of this phase';
    return html`<progress max="1" .value=${share} aria-label=${label}>${percent(share)}</progress>`;
  }

  #figures() {
    const { last, config, stepsDone, samplesPerSecond, secondsLeft, phase, partsInTime } = this.run;
    const steps = config ? `${count(stepsDone)} of ${count(config.steps)}` : count(stepsDone);
    return html`<dl>
      ${this.#figure('Step', steps)} ${this.#figure('Loss', last!.loss.toFixed(3))}
      ${this.#figure('Accuracy', percent(last!.accuracy, 1))}
      ${samplesPerSecond === null ? nothing : this.#figure('Samples/s', count(Math.round(samplesPerSecond)))}
      ${
        config?.rule && partsInTime !== null && phase === 'training'
          ? this.#figure('Parts in time', percent(partsInTime, 1))
          : nothing
      }
      ${phase !== 'training' || secondsLeft === null ? nothing : this.#figure('Time left', duration(secondsLeft))}
    </dl>`;
  }

  #figure(term: string, value: string) {
    return html`<div>
      <dt>${term}</dt>
      <dd>${value}</dd>
    </div>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'ep-run-status': EpRunStatus;
  }
}
