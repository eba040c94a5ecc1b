import { css, html, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import type { Phase } from '../../shared/schema/control.ts';
import './ep-run-settings.ts';
import type { EpRunSettings } from './ep-run-settings.ts';
import { isRunning } from './room-view.ts';
import { sharedStyles } from './styles.ts';

/** Start, Stop, Go on, and the settings of the next run. `ep-start` carries a WantedRun. */
@customElement('ep-run-form')
export class EpRunForm extends LitElement {
  static override styles = [
    sharedStyles,
    css`
      form {
        display: grid;
        gap: 0.5rem;
      }
    `,
  ];

  /** The phase of the room's run. */
  @property() phase: Phase = 'idle';
  /** Why a run cannot be started right now; empty where it can. */
  @property() blocker = '';
  /** What a person should know before Start. */
  @property() note = '';
  /** Why the last Start was refused. */
  @property() refusal = '';
  /** Whether nobody else is in the room. */
  @property({ type: Boolean }) alone = false;
  /** Names of who is here. */
  @property({ attribute: false }) names: readonly string[] = [];
  /** What is wrong with the settings. */
  @state() private problem = '';
  @query('details') private details!: HTMLDetailsElement;
  @query('ep-run-settings') private settings!: EpRunSettings;

  protected override willUpdate(changed: PropertyValues<this>): void {
    // Somebody else may have started a run in the meantime.
    if (changed.has('phase') && isRunning(this)) this.problem = '';
  }

  protected override render() {
    const running = isRunning(this);
    return html`<form @submit=${this.#onSubmit}>
      <div class="row">
        ${
          this.phase === 'paused'
            ? html`<button
                type="button"
                class="primary"
                id="go-on"
                @click=${() => this.#dispatch('ep-go-on')}
              >
                Go on
              </button>`
            : nothing
        }
        <button
          class=${running ? '' : 'primary'}
          id="start"
          ?disabled=${this.blocker !== ''}
          aria-describedby="why"
        >
          Start
        </button>
        <button type="button" id="stop" ?disabled=${!running} @click=${() => this.#dispatch('ep-stop')}>
          Stop
        </button>
        <span id="why" class="muted small">${this.blocker || this.#hint()}</span>
      </div>
      ${this.note ? html`<p class="notice small">${this.note}</p>` : nothing}
      <div role="alert">${this.#complaint()}</div>
      <details ?hidden=${running}>
        <summary>Settings</summary>
        <ep-run-settings .names=${this.names} @ep-submit=${this.#start}></ep-run-settings>
      </details>
    </form>`;
  }

  #complaint() {
    const complaint = this.problem || this.refusal;
    return complaint ? html`<p class="notice bad">${complaint}</p>` : nothing;
  }

  #hint(): string {
    return this.alone ? 'You are alone here: this device would train the whole model.' : '';
  }

  #onSubmit(event: SubmitEvent): void {
    event.preventDefault();
    void this.#start();
  }

  async #start(): Promise<void> {
    if (this.blocker !== '') return;
    if (!this.settings.isValid) {
      this.details.open = true;
      this.settings.reportValidity();
      return;
    }
    this.problem = '';
    try {
      this.dispatchEvent(new CustomEvent('ep-start', { detail: await this.settings.wanted() }));
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    }
  }

  #dispatch(type: string): void {
    this.dispatchEvent(new CustomEvent(type));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'ep-run-form': EpRunForm;
  }
}
