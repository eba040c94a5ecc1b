import { css, html, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { LIMITS } from '../../shared/limits.ts';
import { sharedStyles } from './styles.ts';

/** The door of a room: asks for a name, says which stage joining is in, or why it failed. */
@customElement('ep-joining')
export class EpJoining extends LitElement {
  static override styles = [
    sharedStyles,
    css`
      main {
        max-width: 30rem;
        margin: 0 auto;
        padding: 2rem 1rem;
        display: grid;
        gap: 1rem;
      }
      h1 {
        font-size: 1.5rem;
        line-height: 1.25;
      }
      form,
      .box {
        display: grid;
        gap: 0.75rem;
      }
    `,
  ];

  /** The room's code; empty where the address holds none. */
  @property() code = '';
  /** The name to propose. */
  @property() name = '';
  /** What joining is busy with; null while it is not. */
  @property() stage: string | null = null;
  /** Why it failed; null where it has not. */
  @property() problem: string | null = null;

  protected override render() {
    return html`<main>
      <h1>${this.code ? `Room ${this.code}` : 'No room'}</h1>
      <div role="status">${this.stage === null ? nothing : html`<p class="box">${this.stage}…</p>`}</div>
      ${this.problem === null ? nothing : this.#failure(this.problem)}
      ${this.stage === null && this.problem === null ? this.#door() : nothing}
    </main>`;
  }

  #door() {
    return html`<form class="box" @submit=${this.#enter}>
      <p>Joining lends this device's computing to the room for as long as this page is open.</p>
      <label>
        Your name in the room
        <input
          name="name"
          required
          maxlength=${LIMITS.room.nameChars}
          autocomplete="nickname"
          .value=${this.name}
        />
      </label>
      <button class="primary">Join the room</button>
    </form>`;
  }

  #failure(problem: string) {
    return html`<div class="box">
      <p class="notice bad" role="alert">${problem}</p>
      <div class="row">
        <button class="primary" @click=${this.#again}>Try again</button>
        <button @click=${() => location.assign('/')}>To the start page</button>
      </div>
    </div>`;
  }

  #enter(event: SubmitEvent): void {
    event.preventDefault();
    const name = (new FormData(event.target as HTMLFormElement).get('name') as string).trim();
    if (name) this.#dispatch(name);
  }

  #again(): void {
    // Without a room there is only the address to read again.
    if (this.code) this.#dispatch(this.name);
    else location.reload();
  }

  #dispatch(name: string): void {
    this.dispatchEvent(new CustomEvent('ep-enter', { detail: { name } }));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'ep-joining': EpJoining;
  }
}
