import { css, html, LitElement, nothing } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import { renderSVG } from 'uqr';
import { roomLink } from '../../shared/room-link.ts';
import { reachOf, type Reach } from './invitation.ts';
import { sharedStyles } from './styles.ts';

const COPIED_MS = 3000;

/** How others get in: the room's link, to copy or to scan. */
@customElement('ep-invite')
export class EpInvite extends LitElement {
  static override styles = [
    sharedStyles,
    css`
      .link {
        display: flex;
        gap: 0.5rem;
      }
      input {
        flex: 1;
        min-width: 0;
        font-size: 0.875rem;
        text-overflow: ellipsis;
      }
      img {
        display: block;
        width: min(100%, 13rem);
        margin: 0.75rem auto 0;
        border-radius: 8px;
        background: #fff;
      }
      p {
        margin-top: 0.5rem;
      }
    `,
  ];

  /** The room's code. */
  @property() code = '';
  /** The secret in the link's fragment; null where this peer does not have it. */
  @property({ attribute: false }) secret: string | null = null;
  /** Where others reach the server; null until known. */
  @state() private reach: Reach | null = null;
  /** What became of the last Copy. */
  @state() private copied = '';
  @query('input') private field!: HTMLInputElement;
  #forgetCopied: ReturnType<typeof setTimeout> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    void reachOf(location).then((reach) => (this.reach = reach));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearTimeout(this.#forgetCopied);
  }

  protected override render() {
    if (!this.reach) return html`<h2>Invite others</h2>`;
    const { origin, note } = this.reach;
    const link = this.secret === null ? `${origin}/r/${this.code}` : roomLink(origin, this.code, this.secret);
    return html`
      <h2>Invite others</h2>
      <div class="link">
        <input readonly aria-label="Link of the room" .value=${link} @focus=${() => this.field.select()} />
        <button @click=${() => this.#copy(link)}>Copy</button>
      </div>
      <p class="small" role="status" ?hidden=${!this.copied}>${this.copied}</p>
      <img alt="QR code of the room's link" width="208" height="208" src=${qrCode(link)} />
      ${note ? html`<p class="muted small">${note}</p>` : nothing}
      ${
        this.secret === null
          ? html`<p class="muted small">
              You came by the code alone, so this link is without the room's secret.
            </p>`
          : nothing
      }
    `;
  }

  async #copy(link: string): Promise<void> {
    clearTimeout(this.#forgetCopied);
    this.copied = (await this.#write(link))
      ? 'Copied.'
      : 'This browser does not let the page copy: select the link and copy it.';
    this.#forgetCopied = setTimeout(() => (this.copied = ''), COPIED_MS);
  }

  async #write(link: string): Promise<boolean> {
    try {
      await navigator.clipboard.writeText(link);
      return true;
    } catch {
      // There is no clipboard on http:// pages of a LAN, but this old way works.
      this.field.select();
      // eslint-disable-next-line @typescript-eslint/no-deprecated
      return document.execCommand('copy');
    }
  }
}

const qrCode = (link: string): string =>
  `data:image/svg+xml,${encodeURIComponent(renderSVG(link, { border: 2 }))}`;

declare global {
  interface HTMLElementTagNameMap {
    'ep-invite': EpInvite;
  }
}
