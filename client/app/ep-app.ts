import { html, LitElement, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { newRoomCode, newRoomSecret } from '../../shared/ids.ts';
import { roomPath } from '../../shared/room-link.ts';
import { browserRandomInt } from '../link/random.ts';
import { Room } from '../room.ts';
import './ep-joining.ts';
import './ep-landing.ts';
import './ep-room.ts';
import { rememberedName, rememberName } from './names.ts';
import { delayOf, readPageUrl, type Visit } from './page-url.ts';

const WORKER_URL = '/worker.js';

/** The page: landing, joining, or in a room, as its address says. */
@customElement('ep-app')
export class EpApp extends LitElement {
  /** The page's address. */
  @property() href = location.href;
  @state() private visit: Visit | null = null;
  @state() private stage: string | null = null;
  @state() private problem: string | null = null;
  @state() private room: Room | null = null;
  /** Under which name this peer comes. */
  @state() private name = '';

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const { visit, problem } = readPageUrl(this.href);
    this.visit = visit;
    this.name = visit?.name ?? rememberedName(browserRandomInt);
    if (problem !== null) this.#fail(problem);
    else if (visit?.auto) void this.#join(visit);
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has('visit')) document.title = this.visit ? `Room ${this.visit.code} · EdgePipe` : 'EdgePipe';
  }

  protected override render() {
    if (this.room) return html`<ep-room .room=${this.room} .secret=${this.visit?.secret ?? null}></ep-room>`;
    if (this.visit || this.problem !== null) {
      return html`<ep-joining
        .code=${this.visit?.code ?? ''}
        .name=${this.name}
        .stage=${this.stage}
        .problem=${this.problem}
        @ep-enter=${this.#onEnter}
      ></ep-joining>`;
    }
    return html`<ep-landing
      .name=${this.name}
      @ep-create=${this.#onCreate}
      @ep-invited=${this.#onInvited}
    ></ep-landing>`;
  }

  #onCreate({ detail }: CustomEvent<{ name: string }>): void {
    const invitation = { code: newRoomCode(browserRandomInt), secret: newRoomSecret(browserRandomInt) };
    this.#go(invitation, detail.name);
  }

  #onInvited({ detail }: CustomEvent<{ name: string } & Pick<Visit, 'code' | 'secret'>>): void {
    this.#go(detail, detail.name);
  }

  #onEnter({ detail }: CustomEvent<{ name: string }>): void {
    if (!this.visit) return;
    rememberName(detail.name);
    this.name = detail.name;
    void this.#join(this.visit);
  }

  #go({ code, secret }: Pick<Visit, 'code' | 'secret'>, name: string): void {
    rememberName(name);
    this.name = name;
    const plain = { emulatedMs: null, memoryBytes: null, delay: null, onCpu: false, auto: false };
    const visit = { code, secret, name, ...plain };
    history.pushState(null, '', secret === null ? `/r/${code}` : roomPath(code, secret));
    void this.#join(visit);
  }

  async #join(visit: Visit): Promise<void> {
    const { code, emulatedMs, memoryBytes, delay, onCpu } = visit;
    this.visit = visit;
    this.problem = null;
    this.stage = 'Starting';
    try {
      this.room = await Room.join({
        code,
        name: this.name,
        workerUrl: WORKER_URL,
        onCpu,
        onStage: (stage) => (this.stage = stage),
        ...(emulatedMs !== null && { emulatedMs }),
        ...(memoryBytes !== null && { memoryBytes }),
        ...(delay !== null && { delayMs: delayOf(delay) }),
      });
      this.dispatchEvent(new CustomEvent('ep-joined', { detail: this.room }));
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
    }
  }

  #fail(problem: string): void {
    this.stage = null;
    this.problem = problem;
    this.dispatchEvent(new CustomEvent('ep-failed', { detail: problem }));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'ep-app': EpApp;
  }
  interface HTMLElementEventMap {
    'ep-joined': CustomEvent<Room>;
    'ep-failed': CustomEvent<string>;
  }
}
