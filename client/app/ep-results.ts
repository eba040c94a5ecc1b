import { css, html, LitElement, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { Final } from '../../shared/schema/control.ts';
import { download, jsonBlob, modelFiles } from './downloads.ts';
import type { RoomLike } from './room-controller.ts';
import { sharedStyles } from './styles.ts';
import { count, duration, percent } from './wording.ts';

/** What a finished run leaves: its test accuracy, the report, the model. */
@customElement('ep-results')
export class EpResults extends LitElement {
  static override styles = [
    sharedStyles,
    css`
      :host {
        margin-top: 0.5rem;
        padding-top: 1rem;
        border-top: 1px solid var(--ep-line);
      }
      .accuracy {
        font-size: 2rem;
        font-weight: 700;
        line-height: 1.2;
      }
      .row {
        margin-top: 0.75rem;
      }
      .notice {
        margin-top: 0.5rem;
      }
    `,
  ];

  /** The room, for the report and the model. */
  @property({ attribute: false }) room!: RoomLike;
  /** How the run ended. */
  @property({ attribute: false }) final!: Final;
  /** Whether the model is being fetched from the peers. */
  @state() private fetching = false;
  /** Why the last download failed. */
  @state() private problem = '';

  protected override render() {
    const { metrics, stepsDone, trainingMs } = this.final;
    return html`
      <h2>Test accuracy</h2>
      <p class="accuracy">${percent(metrics.correct / metrics.samples, 2)}</p>
      <p class="muted small">
        ${count(metrics.correct)} of ${count(metrics.samples)} samples right, loss
        ${(metrics.lossSum / metrics.samples).toFixed(4)}, after ${count(stepsDone)} steps in
        ${duration(trainingMs / 1000)}
      </p>
      <div class="row">
        <button id="report" @click=${this.#saveReport}>Download report</button>
        <button id="model" ?disabled=${this.fetching} @click=${this.#saveModel}>
          ${this.fetching ? 'Fetching the layers…' : 'Download model'}
        </button>
      </div>
      <div role="alert">${this.problem ? html`<p class="notice bad">${this.problem}</p>` : nothing}</div>
    `;
  }

  async #saveReport(): Promise<void> {
    this.problem = '';
    try {
      download('report.json', jsonBlob(await this.room.report()));
    } catch (error) {
      this.#complain(error);
    }
  }

  async #saveModel(): Promise<void> {
    this.problem = '';
    this.fetching = true;
    try {
      const model = await this.room.saveModel();
      const { config } = this.room.snapshot().run;
      for (const { name, content } of modelFiles(model, config!)) download(name, content);
    } catch (error) {
      this.#complain(error);
    } finally {
      this.fetching = false;
    }
  }

  #complain(error: unknown): void {
    this.problem = error instanceof Error ? error.message : String(error);
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'ep-results': EpResults;
  }
}
