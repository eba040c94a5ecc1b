import { css, html, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { RoomSnapshot } from '../room.ts';
import { replanObstacle } from '../swarm/record/replan-obstacle.ts';
import './ep-chart.ts';
import './ep-events.ts';
import './ep-invite.ts';
import './ep-peers.ts';
import './ep-importance.ts';
import './ep-plan.ts';
import './ep-results.ts';
import './ep-run-form.ts';
import type { WantedRun } from './ep-run-settings.ts';
import './ep-run-status.ts';
import { missingData } from './missing-data.ts';
import { RoomController, type RoomLike } from './room-controller.ts';
import { isRunning, linksNote, missingNote, startBlocker } from './room-view.ts';
import { sharedStyles } from './styles.ts';

/** Inside a room: the run, who takes part, and how others get in. */
@customElement('ep-room')
export class EpRoom extends LitElement {
  static override styles = [
    sharedStyles,
    css`
      main {
        max-width: 74rem;
        margin: 0 auto;
        padding: 1rem;
        display: grid;
        gap: 1rem;
      }
      header {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        justify-content: space-between;
        gap: 0.5rem 1rem;
      }
      h1 {
        font-size: 1.375rem;
        line-height: 1.3;
      }
      .code {
        font-family: ui-monospace, monospace;
        letter-spacing: 0.06em;
      }
      .columns,
      .column {
        display: grid;
        gap: 1rem;
        min-width: 0;
        align-content: start;
      }
      /* On a phone those who are here matter more than the way in, once somebody is. */
      @media (max-width: 55.99rem) {
        .shared ep-invite {
          order: 1;
        }
      }
      @media (min-width: 56rem) {
        .columns {
          grid-template-columns: minmax(0, 1fr) 23rem;
        }
      }
    `,
  ];

  /** The room that this peer is in. */
  @property({ attribute: false }) room!: RoomLike;
  /** The secret for the room's link; null where this peer came by the code alone. */
  @property({ attribute: false }) secret: string | null = null;
  /** Why the last Start was refused. */
  @state() private refusal = '';
  /** Why the last wish for a new plan was refused. */
  @state() private replanRefusal = '';
  readonly #controller = new RoomController(this);

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('room')) this.#controller.watch(this.room);
    const { snapshot } = this.#controller;
    if (!snapshot) return;
    // What is the matter by now stands beside the buttons.
    if (isRunning(snapshot.run)) this.refusal = '';
    if (replanObstacle(snapshot.run) !== '') this.replanRefusal = '';
  }

  protected override render() {
    const { snapshot } = this.#controller;
    if (!snapshot) return nothing;
    const { run, signaling, roster } = snapshot;
    const steps = this.room.steps();
    return html`<main>
      <header>
        <h1>Room <span class="code">${snapshot.code}</span></h1>
        <button @click=${this.#leave}>Leave</button>
      </header>
      <div role="status">${signaling.state === 'away' ? this.#away(signaling.message) : nothing}</div>
      <div class="columns">
        <div class="column">
          <section class="box" aria-label="Run">
            <ep-run-status .run=${run}></ep-run-status>
            <ep-run-form
              .phase=${run.phase}
              .blocker=${startBlocker(snapshot)}
              .note=${missingNote(snapshot) || linksNote(snapshot)}
              .refusal=${this.refusal}
              .alone=${roster.length === 0}
              .names=${snapshot.peers.map(({ name }) => name)}
              @ep-start=${this.#onStart}
              @ep-stop=${() => this.room.stop()}
              @ep-go-on=${() => this.room.goOn()}
            ></ep-run-form>
            ${run.final && run.phase === 'finished' ? this.#results(snapshot) : nothing}
          </section>
          ${steps.length > 0 ? html`<ep-chart class="box" .steps=${steps}></ep-chart>` : nothing}
          ${run.plan && run.config ? this.#plan(snapshot, run.plan, run.config) : nothing}
        </div>
        <div class="column ${roster.length > 0 ? 'shared' : ''}">
          <ep-invite class="box" .code=${snapshot.code} .secret=${this.secret}></ep-invite>
          <ep-peers class="box" .snapshot=${snapshot}></ep-peers>
          <ep-events class="box" .events=${run.events} .refused=${snapshot.refused}></ep-events>
        </div>
      </div>
    </main>`;
  }

  #away(message: string) {
    return html`<p class="notice">
      Server unreachable; training goes on. Nobody new can join until it is back.
      <span class="small">${message}</span>
    </p>`;
  }

  #results({ run }: RoomSnapshot) {
    return html`<ep-results .room=${this.room} .final=${run.final}></ep-results>`;
  }

  #plan(snapshot: RoomSnapshot, plan: Plan, config: RunConfig) {
    const { importance } = snapshot.run;
    return html`<ep-plan
        class="box"
        .snapshot=${snapshot}
        .plan=${plan}
        .config=${config}
        .refusal=${this.replanRefusal}
        @ep-replan=${this.#onReplan}
      ></ep-plan>
      ${
        importance.length > 0
          ? html`<ep-importance
              class="box"
              .snapshot=${snapshot}
              .plan=${plan}
              .config=${config}
              .importance=${importance}
            ></ep-importance>`
          : nothing
      }`;
  }

  async #onStart({ detail }: CustomEvent<WantedRun>): Promise<void> {
    this.refusal = '';
    try {
      const missing = await missingData(detail.config.task);
      if (missing !== null) throw new Error(missing);
      await this.room.start(detail.config, detail.weights);
    } catch (error) {
      this.refusal = error instanceof Error ? error.message : String(error);
    }
  }

  #onReplan(): void {
    this.replanRefusal = '';
    try {
      this.room.replan();
    } catch (error) {
      this.replanRefusal = error instanceof Error ? error.message : String(error);
    }
  }

  #leave(): void {
    this.room.leave();
    location.assign('/');
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'ep-room': EpRoom;
  }
}
