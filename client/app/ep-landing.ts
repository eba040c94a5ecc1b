import { css, html, LitElement, nothing } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import { LIMITS } from '../../shared/limits.ts';
import { readInvitation } from './page-url.ts';
import { sharedStyles } from './styles.ts';

/** The start page: create a room, or join one by its code or link. */
@customElement('ep-landing')
export class EpLanding extends LitElement {
  static override styles = [
    sharedStyles,
    css`
      main {
        max-width: 34rem;
        margin: 0 auto;
        padding: clamp(1.25rem, 6vh, 4rem) 1rem 2rem;
        display: grid;
        gap: 1rem;
      }
      h1 {
        font-size: clamp(1.75rem, 7vw, 2.25rem);
        line-height: 1.2;
      }
      .box {
        display: grid;
        gap: 0.75rem;
      }
      h2 {
        margin: 0;
      }
    `,
  ];

  /** The name to propose. */
  @property() name = '';
  /** What is wrong with the code or link. */
  @state() private problem = '';
  @query('#name') private nameField!: HTMLInputElement;
  @query('#invitation') private invitationField!: HTMLInputElement;

  protected override render() {
    return html`<main>
      <h1>EdgePipe</h1>
      <p>
        Train one neural network together, on the phones and laptops in a room, in nothing but their browsers.
      </p>
      <label class="box">
        Your name in the room
        <input id="name" maxlength=${LIMITS.room.nameChars} autocomplete="nickname" .value=${this.name} />
      </label>
      <section class="box">
        <h2>Start something new</h2>
        <p class="muted small">You get a link and a QR code for the others.</p>
        <button class="primary" id="create" @click=${this.#create}>Create a room</button>
      </section>
      <form class="box" novalidate @submit=${this.#join}>
        <h2>Join the others</h2>
        <label>
          Code or link of the room
          <input
            id="invitation"
            autocomplete="off"
            autocapitalize="characters"
            spellcheck="false"
            aria-invalid=${this.problem ? 'true' : 'false'}
            aria-describedby="problem"
            @input=${() => (this.problem = '')}
          />
        </label>
        <div id="problem" role="alert">${this.#complaint()}</div>
        <button>Join with a code or link</button>
      </form>
    </main>`;
  }

  #complaint() {
    return this.problem ? html`<p class="notice bad">${this.problem}</p>` : nothing;
  }

  #create(): void {
    this.#dispatch('ep-create', {});
  }

  #join(event: SubmitEvent): void {
    event.preventDefault();
    try {
      this.#dispatch('ep-invited', readInvitation(this.invitationField.value));
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
      this.invitationField.focus();
    }
  }

  #dispatch(type: string, detail: object): void {
    const name = this.nameField.value.trim() || this.name;
    this.dispatchEvent(new CustomEvent(type, { detail: { ...detail, name } }));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'ep-landing': EpLanding;
  }
}
