import { html, LitElement, nothing, svg, type PropertyValues } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { classMap } from 'lit/directives/class-map.js';
import type { PeerId } from '../../shared/ids.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import { overviewOf, type LaneView, type StageView } from '../partition/overview.ts';
import type { RoomSnapshot } from '../room.ts';
import { replanObstacle } from '../swarm/record/replan-obstacle.ts';
import { boxHeights, exchangesText, hueOf, linesIn, partText, ribbons, sizesRem } from './plan-picture.ts';
import { planStyles } from './plan-styles.ts';
import { people } from './room-view.ts';
import { sharedStyles } from './styles.ts';
import { bytes, count, percent } from './wording.ts';

const ANEW =
  'Measures devices again, takes links as they are now, and gives the super neurons that mattered most so far ' +
  'to fast, well linked, steady peers.';

/** So many stages stand side by side with lines between their lanes; more of them wrap. */
const SIDE_BY_SIDE = 4;

/** The plan as a picture: stages from left to right, their lanes as boxes, what crosses between them. `ep-replan`: a new one is wanted. */
@customElement('ep-plan')
export class EpPlan extends LitElement {
  static override styles = [sharedStyles, planStyles];

  /** The room at this moment: names of peers. */
  @property({ attribute: false }) snapshot!: RoomSnapshot;
  /** The plan to show. */
  @property({ attribute: false }) plan!: Plan;
  /** The run that it is for. */
  @property({ attribute: false }) config!: RunConfig;
  /** Why the last wish for a new plan was refused. */
  @property() refusal = '';
  /** Names outlive the peers that left while this element was there. */
  readonly #names = new Map<PeerId, string>();
  #stages: StageView[] = [];
  /** Of each stage's boxes, in rem. */
  #heights: number[][] = [];
  /** Lanes of the largest stage. */
  #most = 1;
  #holders: PeerId[] = [];

  protected override willUpdate(changed: PropertyValues<this>): void {
    for (const { id, name } of people(this.snapshot)) this.#names.set(id, name);
    if (!changed.has('plan') && !changed.has('config')) return;
    this.#stages = overviewOf(this.config.model, this.plan.stages);
    this.#most = Math.max(...this.#stages.map(({ lanes }) => lanes.length));
    const sizes = sizesRem(this.#most);
    this.#heights = this.#stages.map(({ lanes }) =>
      boxHeights(
        lanes.map(({ share }) => share),
        sizes,
      ),
    );
    this.#holders = this.plan.stages.flatMap(({ lanes }) => lanes);
  }

  protected override render() {
    const { standby, predicted, version } = this.plan;
    const waiting = standby.map((peer) => this.#nameOf(peer));
    const isLong = this.#stages.length > SIDE_BY_SIDE;
    return html`
      <h2>Plan ${version}</h2>
      ${this.#anew()}
      <div class=${classMap({ picture: true, long: isLong })} role="img" aria-label=${this.#summary()}>
        ${this.#stages.map((stage, i) => [this.#stage(stage, i), stage.after ? this.#boundary(i) : nothing])}
      </div>
      <p class="small">Predicted: ${count(Math.round(predicted.stepMs))} ms a step. ${predicted.why}</p>
      ${waiting.length > 0 ? html`<p class="muted small">Standing by: ${waiting.join(', ')}.</p>` : nothing}
      <details>
        <summary>The plan as a list</summary>
        <ol class="small">
          ${this.#stages.map((stage, i) => this.#listed(stage, i))}
        </ol>
      </details>
    `;
  }

  /** A new plan in place of this one. */
  #anew() {
    const obstacle = replanObstacle(this.snapshot.run);
    return html`<div class="row">
        <button id="anew" ?disabled=${obstacle !== ''} aria-describedby="why" @click=${this.#onAnew}>
          Plan anew
        </button>
        <span id="why" class="muted small">${obstacle || ANEW}</span>
      </div>
      <div role="alert">${this.refusal ? html`<p class="notice bad">${this.refusal}</p>` : nothing}</div>`;
  }

  #onAnew(): void {
    this.dispatchEvent(new CustomEvent('ep-replan'));
  }

  #stage(stage: StageView, index: number) {
    const { lanes, inner } = stage;
    const ms = this.plan.predicted.stageMs.at(index);
    return html`<div class="stage">
      <p class="head small">
        <span>Stage ${index + 1}</span>
        ${ms === undefined ? nothing : html`<span class="muted">${count(Math.round(ms))} ms</span>`}
      </p>
      ${lanes.map((lane, k) => this.#box(stage, lane, this.#heights[index][k]))}
      ${inner.length > 0 ? html`<p class="inner small">↕ ${exchangesText(inner)}</p>` : nothing}
    </div>`;
  }

  #box({ lanes }: StageView, lane: LaneView, heightRem: number) {
    const isAlone = lanes.length === 1;
    const role = isAlone ? '' : lane.isOwner ? 'owner' : lane.isDeputy ? 'deputy' : '';
    const isSelf = lane.peer === this.snapshot.self;
    const hue = hueOf(this.#holders.indexOf(lane.peer));
    return html`<div
      class=${classMap({ box: true, self: isSelf })}
      style="--hue: ${hue}; --height: ${heightRem}rem; --own: ${lanes.length / this.#most};
        --lines: ${linesIn(heightRem)}"
    >
      <p class="name">
        <span>${this.#nameOf(lane.peer)}</span>
        ${isAlone ? nothing : html`<span class="role">${role} ${percent(lane.share)}</span>`}
      </p>
      <p class="parts">${lane.parts.map((part) => html`<span>${partText(part)}</span> `)}</p>
    </div>`;
  }

  #boundary(index: number) {
    const { lanes, after } = this.#stages[index];
    const height = this.#heights[index].reduce((sum, box) => sum + box, 0);
    const lines = ribbons(after!, this.#heights[index], this.#heights[index + 1]);
    return html`<div class="boundary">
      <span class="kind small">${after!.kind}</span>
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" style="height: ${height}rem">
        ${lines.map(
          ({ path, share, from }) =>
            svg`<path
              d=${path}
              stroke-width=${(1.5 + 6 * share).toFixed(1)}
              style="--hue: ${hueOf(this.#holders.indexOf(lanes[from].peer))}"
            ></path>`,
        )}
      </svg>
    </div>`;
  }

  #listed({ lanes, layers, inner, after }: StageView, index: number) {
    const memory = this.plan.predicted.memoryBytes.at(index) ?? [];
    const ends = [
      ...inner.map(({ kind, layer }) => `Between its lanes: ${kind} after ${layer}.`),
      ...(after ? [`To stage ${index + 2}: ${after.kind} after ${after.layer}.`] : []),
    ];
    return html`<li>
      <p>Stage ${index + 1}: ${layers.join(', ')}</p>
      <ul>
        ${lanes.map((lane, k) => html`<li>${this.#sentence(lane, lanes.length, memory.at(k))}</li>`)}
        ${ends.map((end) => html`<li>${end}</li>`)}
      </ul>
    </li>`;
  }

  #sentence(lane: LaneView, lanes: number, memoryBytes: number | undefined): string {
    const { peer, share, parts, parameters, isOwner, isDeputy } = lane;
    const roles = isDeputy ? ', its deputy' : isOwner && lanes > 1 ? ', its owner' : '';
    const held = parts.map(partText).join(', ') || 'nothing';
    const all = lanes > 1 ? `${percent(share)} of the stage: ${held}` : held;
    const memory = memoryBytes === undefined ? '' : `, about ${bytes(memoryBytes)}`;
    return `${this.#nameOf(peer)}${roles}: ${all}; ${count(parameters)} parameters${memory}.`;
  }

  #summary(): string {
    const stages = this.#stages.map(({ lanes, after }, i) => {
      const names = lanes.map(({ peer, share }) =>
        lanes.length > 1 ? `${this.#nameOf(peer)} ${percent(share)}` : this.#nameOf(peer),
      );
      return `stage ${i + 1}: ${names.join(', ')}${after ? `, then ${after.kind}` : ''}`;
    });
    return `The plan. ${stages.join('; ')}.`;
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
