import type { JSHandle, Page } from 'playwright-core';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { PeerReport } from '../../shared/schema/control.ts';
import type { Report } from '../../shared/schema/report.ts';
import type { Span } from '../../shared/schema/timeline.ts';
import type { Automation } from '../app/main.ts';
import type { ModelArtifacts } from '../engine/assemble.ts';
import type { LayerState } from '../ports/compute.ts';
import type { RoomSnapshot } from '../room.ts';
import type { PeerBrowser } from './peer-browser.ts';
import { TimeoutError, within } from './wait.ts';

/** What runs in the page sees this instead of `window`. */
declare const window: { edgepipe?: Automation };

const COMPLAINTS_KEPT = 20;
/** A page that does not answer for this long is as good as gone. */
const ANSWER_MS = 10_000;
const SLICE_BYTES = 1024 * 1024;

/** A page could not be used as a peer; the message says which one and why. */
export class PeerPageError extends Error {}

/** One peer of the room: a page in a real browser, driven through what the page offers to automation. */
export class PeerPage {
  /** Why this page can be used no more; null while it can. */
  gone: string | null = null;
  /** Errors that the page or its console showed, the last ones. */
  readonly complaints: string[] = [];

  constructor(
    readonly name: string,
    readonly page: Page,
    readonly browser: PeerBrowser,
  ) {
    page.on('crash', () => this.#end('its page crashed'));
    page.on('close', () => {
      this.#end(browser.browser.isConnected() ? 'its page was closed' : 'its browser ended');
    });
    browser.browser.on('disconnected', () => this.#end('its browser ended'));
    page.on('pageerror', (error) => this.#complain(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') this.#complain(message.text());
    });
  }

  /** Opens the room's link. Resolves once the peer has joined; rejects with what went wrong. */
  async join(url: string, timeoutMs: number): Promise<void> {
    const late = `${this.name} did not join the room within ${timeoutMs / 1000} s.`;
    try {
      // tsx marks named functions with a helper that no page has.
      await this.page.addInitScript('globalThis.__name ??= (target) => target');
      await this.page.goto(url, { waitUntil: 'commit', timeout: timeoutMs });
      await this.page.waitForFunction(
        () =>
          window.edgepipe !== undefined && (window.edgepipe.room !== null || window.edgepipe.error !== null),
        undefined,
        { timeout: timeoutMs, polling: 100 },
      );
    } catch (error) {
      throw new PeerPageError(this.#explain(isTimeout(error) ? late : `${this.name}: ${messageOf(error)}`));
    }
    const error = await this.page.evaluate(() => window.edgepipe!.error);
    if (error !== null) throw new PeerPageError(this.#explain(`${this.name} could not join: ${error}`));
  }

  /** The room as this peer sees it. */
  snapshot(): Promise<RoomSnapshot> {
    return this.#ask(() => this.page.evaluate(() => window.edgepipe!.room!.snapshot()));
  }

  /** Presses Start, with weights to begin with where there are any. Rejects with the room's answer where it refuses. */
  async start(config: RunConfig, weights?: readonly LayerState[] | null): Promise<void> {
    const held = await this.#bring(weights ?? []);
    try {
      const refusal = await this.#ask(
        () =>
          this.page.evaluate(
            ([chosen, states]) =>
              window.edgepipe!.room!.start(chosen, states).then(
                () => null,
                (error: unknown) => (error instanceof Error ? error.message : String(error)),
              ),
            [config, held] as const,
          ),
        60_000,
      );
      if (refusal !== null) throw new PeerPageError(refusal);
    } finally {
      await held.dispose().catch(() => undefined);
    }
  }

  stop(): Promise<void> {
    return this.#ask(() => this.page.evaluate(() => window.edgepipe!.room!.stop()));
  }

  goOn(): Promise<void> {
    return this.#ask(() => this.page.evaluate(() => window.edgepipe!.room!.goOn()));
  }

  /** Asks for a new plan. Gives why the room makes none; null where it does. */
  replan(): Promise<string | null> {
    return this.#ask(() =>
      this.page.evaluate(() => {
        try {
          window.edgepipe!.room!.replan();
          return null;
        } catch (error) {
          return error instanceof Error ? error.message : String(error);
        }
      }),
    );
  }

  steps(): Promise<Report['steps']> {
    return this.#ask(() => this.page.evaluate(() => window.edgepipe!.room!.steps()));
  }

  /** What this peer did lately. */
  spans(): Promise<readonly Span[]> {
    return this.#ask(() => this.page.evaluate(() => window.edgepipe!.room!.spans()));
  }

  report(): Promise<Report> {
    return this.#ask(() => this.page.evaluate(() => window.edgepipe!.room!.report()), 60_000);
  }

  /** The weights of this peer's block as they are now, while training goes on. */
  async weights(): Promise<LayerState[]> {
    const held = await this.#ask(() => this.page.evaluateHandle(() => window.edgepipe!.room!.weights()));
    try {
      const outline = await held.evaluate((states) =>
        states.map(({ parameters, ...state }) => ({
          ...state,
          parameters: parameters.map(({ data, ...about }) => ({ ...about, bytes: data.byteLength })),
        })),
      );
      const layers: LayerState[] = [];
      for (const [i, { parameters, ...state }] of outline.entries()) {
        const read: LayerState['parameters'] = [];
        for (const [j, { bytes, ...about }] of parameters.entries()) {
          const data = await inSlices(bytes, (from, to) =>
            held.evaluate(
              (states, [layer, array, start, end]) => {
                const { buffer, byteOffset } = states[layer].parameters[array].data;
                const slice = new Uint8Array(buffer, byteOffset + start, end - start);
                let text = '';
                for (const byte of slice) text += String.fromCharCode(byte);
                return btoa(text);
              },
              [i, j, from, to] as const,
            ),
          );
          read.push({ ...about, data: new Float32Array(data.buffer) });
        }
        layers.push({ ...state, parameters: read });
      }
      return layers;
    } finally {
      await held.dispose().catch(() => undefined);
    }
  }

  /** Parts that this peer sent and used under the plan so far. */
  traffic(): Promise<PeerReport['traffic']> {
    return this.#ask(() => this.page.evaluate(() => window.edgepipe!.room!.traffic));
  }

  /** Takes what people look at out of the page: where many pages share a processor, drawing costs more than training. */
  hide(): Promise<void> {
    return this.#ask(() => this.page.evaluate(() => document.querySelector('ep-app')?.remove()));
  }

  /** The whole trained model, collected by this peer. */
  async saveModel(timeoutMs = 300_000): Promise<ModelArtifacts> {
    const held = await this.#ask(
      () => this.page.evaluateHandle(() => window.edgepipe!.room!.saveModel()),
      timeoutMs,
    );
    try {
      const about = await held.evaluate(({ modelTopology, weightSpecs, weightData }) => ({
        modelTopology,
        weightSpecs,
        size: weightData.byteLength,
      }));
      const weights = await inSlices(about.size, (start, end) =>
        held.evaluate(
          ({ weightData }, [from, to]) => {
            let text = '';
            for (const byte of new Uint8Array(weightData.slice(from, to))) text += String.fromCharCode(byte);
            return btoa(text);
          },
          [start, end] as const,
        ),
      );
      const { modelTopology, weightSpecs } = about;
      return { modelTopology, weightSpecs, weightData: weights.buffer };
    } finally {
      await held.dispose().catch(() => undefined);
    }
  }

  /** This peer's last complaints, one a line; empty where it had none. */
  describeComplaints(): string {
    return this.complaints.map((complaint) => `  ${this.name}: ${complaint}`).join('\n');
  }

  /** Copies weights into the page. Whoever asked for them disposes of them. */
  async #bring(weights: readonly LayerState[]): Promise<JSHandle<LayerState[]>> {
    const outline = weights.map(({ layer, updates, parameters }) => ({
      layer,
      updates,
      parameters: parameters.map(({ name, shape }) => ({ name, shape })),
    }));
    const held = await this.#ask(() =>
      this.page.evaluateHandle(
        (layers) =>
          layers.map(({ parameters, ...layer }): LayerState => {
            const size = (shape: number[]) => shape.reduce((product, extent) => product * extent, 1);
            const empty = parameters.map((array) => ({
              ...array,
              data: new Float32Array(size(array.shape)),
            }));
            return { ...layer, parameters: empty, optimizer: [] };
          }),
        outline,
      ),
    );
    for (const [i, { parameters }] of weights.entries()) {
      for (const [j, { data }] of parameters.entries()) {
        const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
        // In slices: one message of automation cannot carry a large model.
        for (let start = 0; start < bytes.length; start += SLICE_BYTES) {
          const encoded = bytes.subarray(start, start + SLICE_BYTES).toString('base64');
          await this.#ask(() => held.evaluate(fill, [i, j, start, encoded] as const));
        }
      }
    }
    return held;
  }

  async #ask<T>(question: () => Promise<T>, timeoutMs = ANSWER_MS): Promise<T> {
    this.#assertHere();
    try {
      return await within(question(), timeoutMs, `${this.name} did not answer for ${timeoutMs / 1000} s.`);
    } catch (error) {
      if (error instanceof TimeoutError) throw error;
      this.#assertHere();
      throw new PeerPageError(this.#explain(`${this.name}: ${messageOf(error)}`));
    }
  }

  #assertHere(): void {
    if (this.gone !== null) throw new PeerPageError(this.#explain(`${this.name} is gone: ${this.gone}.`));
  }

  #explain(message: string): string {
    const last = this.complaints.at(-1);
    return last === undefined || message.includes(last) ? message : `${message} Its page said: ${last}`;
  }

  #end(reason: string): void {
    this.gone ??= reason;
  }

  #complain(text: string): void {
    this.complaints.push(text.replaceAll(/\s+/g, ' ').slice(0, 300));
    if (this.complaints.length > COMPLAINTS_KEPT) this.complaints.shift();
  }
}

/** Bytes of the page. In slices: one message of automation cannot carry a large model. */
async function inSlices(
  size: number,
  read: (from: number, to: number) => Promise<string>,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(size);
  for (let start = 0; start < size; start += SLICE_BYTES) {
    const encoded = await read(start, Math.min(size, start + SLICE_BYTES));
    bytes.set(Buffer.from(encoded, 'base64'), start);
  }
  return bytes;
}

/** Runs in the page. */
function fill(
  states: LayerState[],
  [i, j, start, encoded]: readonly [layer: number, array: number, start: number, encoded: string],
): void {
  const { data } = states[i].parameters[j];
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  new Uint8Array(data.buffer).set(bytes, start);
}

const isTimeout = (error: unknown): boolean => error instanceof Error && error.name === 'TimeoutError';

/** Without playwright's prefix and stack. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n')[0].replace(/^[\w.]+: (Error: )?/, '');
}
