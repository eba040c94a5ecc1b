/** Where a command writes: lines that stay, and below them one that is redrawn. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const QUIET_MS = 5_000;
const CLEAR_LINE = '\r\x1b[2K';

/** Lines that stay, and a status line: redrawn in place on a terminal, a line every few seconds elsewhere. */
export class Terminal {
  #status = '';
  #loggedAt = -Infinity;

  constructor(
    private readonly output: Output,
    private readonly now: () => number = () => performance.now(),
  ) {}

  line(text = ''): void {
    if (!this.#isRedrawn) this.output.write(`${text}\n`);
    else this.output.write(`${CLEAR_LINE}${text}\n${this.#fitted()}`);
  }

  lines(texts: readonly string[]): void {
    for (const text of texts) this.line(text);
  }

  /** What is going on now; replaces the last status. */
  status(text: string): void {
    if (text === this.#status) return;
    if (this.#isRedrawn) {
      this.#status = text;
      this.output.write(CLEAR_LINE + this.#fitted());
    } else if (this.now() - this.#loggedAt >= QUIET_MS) {
      this.#status = text;
      this.#loggedAt = this.now();
      this.output.write(`${text}\n`);
    }
  }

  /** Takes the status line away. */
  clear(): void {
    if (this.#isRedrawn && this.#status !== '') this.output.write(CLEAR_LINE);
    this.#status = '';
    this.#loggedAt = -Infinity;
  }

  get #isRedrawn(): boolean {
    return this.output.isTTY === true;
  }

  #fitted(): string {
    // A line that wraps could not be redrawn.
    return this.#status.slice(0, Math.max(20, (this.output.columns ?? 80) - 1));
  }
}
