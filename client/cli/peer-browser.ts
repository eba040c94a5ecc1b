import { chromium, type Browser, type BrowserContext } from 'playwright-core';
import { BrowserError, canSandbox, launchFlags } from './chromium.ts';
import { within } from './wait.ts';

const CLOSE_MS = 5_000;

/** A running browser process that holds one or more peers. Whoever launched it closes it. */
export class PeerBrowser {
  private constructor(
    readonly browser: Browser,
    /** Of the browser's main process: kill it, and its peers die without a word. */
    readonly pid: number,
    /** Such as `Chromium 156`. */
    readonly version: string,
  ) {}

  static async launch(executablePath: string): Promise<PeerBrowser> {
    const browser = await chromium
      .launch({
        executablePath,
        headless: true,
        args: launchFlags(),
        chromiumSandbox: canSandbox(),
        // Our own handlers close what is open, in order.
        handleSIGINT: false,
        handleSIGTERM: false,
        handleSIGHUP: false,
        timeout: 60_000,
      })
      .catch((error: unknown) => {
        throw new BrowserError(explain(error, executablePath));
      });
    try {
      const session = await browser.newBrowserCDPSession();
      const { processInfo } = await session.send('SystemInfo.getProcessInfo');
      await session.detach();
      const main = processInfo.find(({ type }) => type === 'browser');
      if (!main) throw new BrowserError(`${executablePath} does not say which process it is.`);
      return new PeerBrowser(browser, main.id, browser.version());
    } catch (error) {
      await browser.close();
      throw error;
    }
  }

  /** A place for one peer, with storage of its own. */
  newContext(): Promise<BrowserContext> {
    return this.browser.newContext({ viewport: { width: 900, height: 700 } });
  }

  async close(): Promise<void> {
    try {
      await within(this.browser.close(), CLOSE_MS, 'The browser did not close.');
    } catch {
      this.kill();
    }
  }

  /** As if the device lost its battery. */
  kill(): void {
    try {
      process.kill(this.pid, 'SIGKILL');
    } catch {
      // It is gone already.
    }
  }
}

function explain(error: unknown, path: string): string {
  const text = error instanceof Error ? error.message : String(error);
  if (/sandbox/i.test(text) && canSandbox()) {
    return `${path} cannot start in its sandbox on this machine: allow user namespaces, or set CI=1 to start it without.`;
  }
  const library = /error while loading shared libraries: ([^:\s]+)/.exec(text)?.[1];
  if (library) return `${path} cannot start, because ${library} is missing: reinstall the browser's package.`;
  const [first] = text.split('\n');
  return `${path} could not be started as a browser: ${first.replace(/^browserType\.launch: /, '')}`;
}
