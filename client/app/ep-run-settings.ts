import { css, html, LitElement, nothing } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import { LIMITS } from '../../shared/limits.ts';
import type { ModelSpec } from '../../shared/model.ts';
import { RunConfigSchema, type RunConfig } from '../../shared/schema/config.ts';
import { runConfig } from '../defaults.ts';
import { gridComplaint, gridShortage, readGrid } from '../grid.ts';
import type { LayerState } from '../ports/compute.ts';
import { faultFields, readTrouble } from './fault-fields.ts';
import { readUpload } from './model-upload.ts';
import { sharedStyles } from './styles.ts';

const OPTIMIZERS = ['adam', 'momentum', 'sgd'] as const;
const PARTITIONS = RunConfigSchema.entries.partition.options;
const WIRES = RunConfigSchema.entries.wire.options;
const MODELS = ['mlp', 'cnn', 'resnet'] as const;
const FILE = 'file';
const DEFAULTS = runConfig();

/** A run as a person wants it. */
export interface WantedRun {
  config: RunConfig;
  /** Of all layers, where training shall begin with them. */
  weights: LayerState[];
}

/** The settings of the next run. */
@customElement('ep-run-settings')
export class EpRunSettings extends LitElement {
  static override styles = [
    sharedStyles,
    css`
      .fields {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(9.25rem, 1fr));
        gap: 0.75rem;
        padding-bottom: 0.5rem;
      }
      label {
        align-content: end;
      }
      .wide {
        grid-column: 1 / -1;
      }
      input,
      select {
        width: 100%;
        padding-inline: 0.625rem;
      }
      [type='file'] {
        padding-block: 0.5rem;
      }
    `,
  ];

  /** Names of who is here. */
  @property({ attribute: false }) names: readonly string[] = [];
  /** The optimizer and the model chosen: the default of the learning rate hangs on them. */
  @state() private optimizer = DEFAULTS.optimizer.kind;
  @state() private model: string = MODELS[0];
  @query('form') private form!: HTMLFormElement;

  /** What the fields say. Rejects with a message for people. */
  async wanted(): Promise<WantedRun> {
    const data = Object.fromEntries(new FormData(this.form)) as Record<string, string>;
    const task = data.task as RunConfig['task'];
    const uploaded = this.model === FILE ? await readUpload(this.#files(), task) : null;
    const model: string | ModelSpec = uploaded?.model ?? this.model;
    const config = runConfig({
      task,
      model,
      partition: data.partition as RunConfig['partition'],
      grid: this.#grid(data.grid),
      shares: data.shares as RunConfig['shares'],
      wire: data.wire as RunConfig['wire'],
      schedule: data.schedule as NonNullable<RunConfig['schedule']>,
      steps: Number(data.steps),
      batch: Number(data.batch),
      microBatches: Number(data.microBatches),
      optimizer: this.optimizer,
      ...(data.learningRate !== '' && { learningRate: Number(data.learningRate) }),
      seed: Number(data.seed),
      onDeparture: data.onDeparture as RunConfig['onDeparture'],
      ...readTrouble(data, this.names),
    });
    const misfit = gridComplaint(config);
    if (misfit !== null) throw new Error(`The grid ${misfit}.`);
    return { config, weights: uploaded?.weights ?? [] };
  }

  get isValid(): boolean {
    return this.form.checkValidity();
  }

  /** Points at the first field that is not filled in rightly. */
  reportValidity(): void {
    this.form.reportValidity();
  }

  protected override render() {
    const { steps, batch, microBatches, seed } = DEFAULTS;
    const { learningRate } = runConfig({
      optimizer: this.optimizer,
      ...(this.model !== FILE && { model: this.model }),
    }).optimizer;
    return html`<form class="fields" @submit=${this.#onSubmit}>
      <label>
        Task
        <select name="task">
          <option value="mnist">MNIST</option>
          <option value="fashion">Fashion-MNIST</option>
        </select>
      </label>
      <label>
        Model
        <select name="model" @change=${this.#onModel}>
          ${MODELS.map((name) => html`<option ?selected=${name === this.model}>${name}</option>`)}
          <option value=${FILE}>from files…</option>
        </select>
      </label>
      ${this.model === FILE ? this.#upload() : nothing}
      <label>
        Partition
        <select name="partition">
          ${PARTITIONS.map((partition) => html`<option>${partition}</option>`)}
        </select>
      </label>
      <label>
        Grid
        <input name="grid" placeholder="auto" autocomplete="off" autocapitalize="none" spellcheck="false" />
      </label>
      <label>
        Shares
        <select name="shares">
          <option value="measured">by speed</option>
          <option value="even">all alike</option>
        </select>
      </label>
      <label>
        On the wire
        <select name="wire">
          ${WIRES.map((wire) => html`<option>${wire}</option>`)}
        </select>
      </label>
      <label>
        Schedule
        <select name="schedule">
          <option value="sync">step by step</option>
          <option value="async">overlapping</option>
        </select>
      </label>
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
      ${faultFields(this.names)}
      <button hidden>Start</button>
    </form>`;
  }

  #upload() {
    return html`<label class="wide">
      <span>model.json of a tf.LayersModel, and its weights to go on from them</span>
      <input name="files" type="file" multiple accept=".json,.bin,application/json" />
    </label>`;
  }

  #number(label: string, name: string, value: number, min: number, max: number) {
    return html`<label>
      ${label}
      <input name=${name} type="number" inputmode="numeric" required min=${min} max=${max} value=${value} />
    </label>`;
  }

  #files(): File[] {
    return [...(this.form.querySelector<HTMLInputElement>('[name=files]')?.files ?? [])];
  }

  #grid(text: string): RunConfig['grid'] {
    if (text.trim() === '') return null;
    let grid: RunConfig['grid'];
    try {
      grid = readGrid(text);
    } catch (error) {
      throw new Error(`The grid ${(error as Error).message}`, { cause: error });
    }
    const shortage = gridShortage(grid, this.names.length);
    if (shortage !== null) throw new Error(`The grid ${shortage}.`);
    return grid;
  }

  #onModel(event: Event): void {
    this.model = (event.target as HTMLSelectElement).value;
  }

  #onOptimizer(event: Event): void {
    this.optimizer = (event.target as HTMLSelectElement).value as (typeof OPTIMIZERS)[number];
  }

  /** Enter in a field starts, as everywhere: the button that nobody sees makes it so. */
  #onSubmit(event: SubmitEvent): void {
    event.preventDefault();
    this.dispatchEvent(new CustomEvent('ep-submit'));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'ep-run-settings': EpRunSettings;
  }
}
