import { css, html, LitElement, nothing } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import { LIMITS } from '../../shared/limits.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Phase } from '../../shared/schema/control.ts';
import { runConfig } from '../defaults.ts';
import { isRunning } from './room-view.ts';
import { sharedStyles } from './styles.ts';

const OPTIMIZERS = ['adam', 'momentum', 'sgd'] as const;
const DEFAULTS = runConfig();

/** Start, Stop, Go on, and the settings of the next run. */
@customElement('ep-run-form')
export class EpRunForm extends LitElement {
  static override styles = [
    sharedStyles,
    css`
      form {
        display: grid;
        gap: 0.5rem;
      }
      .fields {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr));
        gap: 0.75rem;
        padding-bottom: 0.5rem;
      }
      label {
        align-content: end;
      }
      input,
      select {
        width: 100%;
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
  /** The optimizer chosen: the default of the learning rate hangs on it. */
  @state() private optimizer = DEFAULTS.optimizer.kind;
  @query('form') private form!: HTMLFormElement;

  protected override render() {
    const running = isRunning(this);
    return html`<form @submit=${this.#start}>
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
      <div role="alert">${this.refusal ? html`<p class="notice bad">${this.refusal}</p>` : nothing}</div>
      <details ?hidden=${running}>
        <summary>Settings</summary>
        ${this.#fields()}
      </details>
    </form>`;
  }

  #hint(): string {
    return this.alone ? 'You are alone here: this device would train the whole model.' : '';
  }

  #fields() {
    const { steps, batch, microBatches, seed } = DEFAULTS;
    const { learningRate } = runConfig({ optimizer: this.optimizer }).optimizer;
    return html`<div class="fields">
      ${this.#number('Steps', 'steps', steps, 1, LIMITS.run.steps)}
      ${this.#number('Samples per step', 'batch', batch, 1, LIMITS.run.batch)}
      ${this.#number('Micro-batches', 'microBatches', microBatches, 1, LIMITS.run.microBatches)}
      <label>
        Optimizer
        <select name="optimizer" @change=${this.#onOptimizer}>
          ${OPTIMIZERS.map((kind) => html`<option ?selected=${kind === this.optimizer}>${kind}</option>`)}
        </select>
      </label>
      <label>
        Learning rate
        <input name="learningRate" type="number" step="any" max="100" placeholder=${learningRate} />
      </label>
      ${this.#number('Seed', 'seed', seed, 0, 0x7fffffff)}
      <label>
        If a peer leaves
        <select name="onDeparture">
          <option value="ask">pause</option>
          <option value="continue">go on</option>
        </select>
      </label>
    </div>`;
  }

  #number(label: string, name: string, value: number, min: number, max: number) {
    return html`<label>
      ${label}
      <input name=${name} type="number" inputmode="numeric" required min=${min} max=${max} value=${value} />
    </label>`;
  }

  #onOptimizer(event: Event): void {
    this.optimizer = (event.target as HTMLSelectElement).value as (typeof OPTIMIZERS)[number];
  }

  #start(event: SubmitEvent): void {
    event.preventDefault();
    const data = Object.fromEntries(new FormData(this.form)) as Record<string, string>;
    const config = runConfig({
      steps: Number(data.steps),
      batch: Number(data.batch),
      microBatches: Number(data.microBatches),
      optimizer: this.optimizer,
      ...(data.learningRate !== '' && { learningRate: Number(data.learningRate) }),
      seed: Number(data.seed),
      onDeparture: data.onDeparture as RunConfig['onDeparture'],
    });
    this.dispatchEvent(new CustomEvent('ep-start', { detail: config }));
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
