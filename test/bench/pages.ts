import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import type { Page } from 'playwright-core';
import { findOrInstallChromium } from '../../client/cli/chromium.ts';
import { buildPage } from '../../client/cli/page-build.ts';
import { PeerBrowser } from '../../client/cli/peer-browser.ts';
import { bundledSimplePeer } from '../../signaling/build.ts';
import { startServer } from '../../signaling/server.ts';
import { pin } from './pinning.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A file of the bench with all that it imports, as a script for a page. */
export async function scriptOf(file: string): Promise<string> {
  const { outputFiles } = await esbuild.build({
    absWorkingDir: ROOT,
    entryPoints: [`test/bench/${file}`],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    define: { global: 'globalThis', 'process.env.NODE_ENV': '"production"' },
    plugins: [bundledSimplePeer],
  });
  return outputFiles[0].text;
}

/** The page as it is served, built once for a whole bench. */
let built: Promise<string> | null = null;
export const pageDir = (): Promise<string> => (built ??= buildPage());

export interface PagesOptions {
  script: string;
  pages: number;
  /** The Chromium to use; null: the one that is installed. */
  browser: string | null;
  /** The processor that the browser gets to itself; all where left out. What renders in software begins on the first by itself. */
  processor?: number;
}

/** Pages of the project's own origin in a browser of their own, each with a script of the bench; closed when `use` is done. */
export async function withPages<T>(
  { script, pages: count, browser: path, processor }: PagesOptions,
  use: (pages: Page[], browser: PeerBrowser) => Promise<T>,
): Promise<T> {
  const server = await startServer({ port: 0, host: '127.0.0.1', pageDir: await pageDir() });
  try {
    const browser = await PeerBrowser.launch(await findOrInstallChromium(path ?? undefined));
    try {
      if (processor !== undefined) pin(browser.pid, processor);
      const pages: Page[] = [];
      for (let i = 0; i < count; i++) {
        const page = await (await browser.newContext()).newPage();
        // tsx marks named functions with a helper that no page has.
        await page.addInitScript('globalThis.__name ??= (target) => target');
        await page.goto(new URL('/healthz', server.url).href);
        await page.evaluate(script);
        pages.push(page);
      }
      return await use(pages, browser);
    } finally {
      await browser.close();
    }
  } finally {
    await server.close();
  }
}
