import { css, html, LitElement, unsafeCSS, type PropertyValues } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import UPlot from 'uplot';
import { onSoftwareCanvas } from './software-canvas.ts';
import uplotStyles from 'uplot/dist/uPlot.min.css';
import type { StepRecord } from '../swarm/record/record.ts';
import { curveOf } from './curve.ts';
import { sharedStyles } from './styles.ts';
import { count, percent } from './wording.ts';

const POINTS = 400;
const HEIGHT_PX = 220;
/** Steps are whole numbers. */
const INCREMENTS = [1, 2, 5]
  .flatMap((digit) => [0, 1, 2, 3, 4, 5].map((zeros) => digit * 10 ** zeros))
  .sort((a, b) => a - b);
const FONT = '12px system-ui, sans-serif';

/** Loss and accuracy over the steps. */
@customElement('ep-chart')
export class EpChart extends LitElement {
  static override styles = [
    unsafeCSS(uplotStyles),
    sharedStyles,
    css`
      .legend {
        display: flex;
        gap: 1.25rem;
        margin-bottom: 0.25rem;
      }
      .legend span::before {
        content: '';
        display: inline-block;
        width: 1.25rem;
        margin-right: 0.375rem;
        vertical-align: middle;
        border-top: 3px solid var(--ep-loss);
      }
      .legend .accuracy::before {
        border-top: 3px dashed var(--ep-accuracy);
      }
      #plot {
        height: 220px;
        margin-inline: -0.5rem;
        overflow: hidden;
      }
    `,
  ];

  /** The steps so far: one array that grows. */
  @property({ attribute: false, hasChanged: () => true }) steps: readonly StepRecord[] = [];
  @query('#plot') private place!: HTMLElement;
  #plot: UPlot | null = null;
  readonly #dark = matchMedia('(prefers-color-scheme: dark)');
  readonly #resized = new ResizeObserver(() => this.#fit());
  readonly #recolour = () => this.#build();

  override connectedCallback(): void {
    super.connectedCallback();
    this.#dark.addEventListener('change', this.#recolour);
    if (this.hasUpdated) this.#build();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#dark.removeEventListener('change', this.#recolour);
    this.#resized.disconnect();
    this.#plot?.destroy();
    this.#plot = null;
  }

  protected override render() {
    return html`
      <h2>Loss and accuracy</h2>
      <div class="legend small" aria-hidden="true">
        <span>loss</span><span class="accuracy">accuracy</span>
      </div>
      <div id="plot" role="img" aria-label=${this.#summary()}></div>
    `;
  }

  protected override firstUpdated(): void {
    this.#build();
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has('steps')) this.#plot?.setData(curveOf(this.steps, POINTS));
  }

  #summary(): string {
    const first = this.steps.at(0);
    const last = this.steps.at(-1);
    if (!first || !last) return 'No steps yet.';
    return (
      `Over ${count(this.steps.length)} steps the loss went from ${first.loss.toFixed(2)} to ${last.loss.toFixed(2)}, ` +
      `the accuracy from ${percent(first.accuracy)} to ${percent(last.accuracy)}.`
    );
  }

  #build(): void {
    this.#plot?.destroy();
    this.#plot = null;
    this.#resized.observe(this.place);
    // uPlot cannot begin without a width: it waits until there is one.
    if (this.place.clientWidth === 0) return;
    const style = getComputedStyle(this);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour('--ep-muted'), font: FONT, ticks: { show: false } };
    const grid = { stroke: colour('--ep-grid'), width: 1 };
    this.#plot = onSoftwareCanvas(
      () =>
        new UPlot(
          {
            width: this.place.clientWidth,
            height: HEIGHT_PX,
            legend: { show: false },
            cursor: { show: false },
            scales: {
              x: { time: false },
              loss: { range: (_u, _min, max) => [0, max > 0 ? max * 1.05 : 1] },
              accuracy: { range: [0, 1] },
            },
            axes: [
              { ...axis, grid, size: 28, incrs: INCREMENTS },
              { ...axis, grid, scale: 'loss', size: 44 },
              {
                ...axis,
                grid: { show: false },
                scale: 'accuracy',
                // The library's enum is in its types only: 1 is the right.
                // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment
                side: 1,
                size: 52,
                values: (_u, splits) => splits.map((share) => percent(share)),
              },
            ],
            series: [
              {},
              { scale: 'loss', stroke: colour('--ep-loss'), width: 2, points: { show: false } },
              {
                scale: 'accuracy',
                stroke: colour('--ep-accuracy'),
                width: 2,
                dash: [6, 4],
                points: { show: false },
              },
            ],
          },
          curveOf(this.steps, POINTS),
          this.place,
        ),
    );
  }

  #fit(): void {
    const width = this.place.clientWidth;
    if (!this.#plot) this.#build();
    else if (width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT_PX });
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'ep-chart': EpChart;
  }
}
