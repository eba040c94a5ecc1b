import { existsSync } from 'node:fs';
import process from 'node:process';
import { URL } from 'node:url';
import { chromeLauncher } from '@web/test-runner-chrome';
import { bundles } from './wtr-bundles.mjs';
import { rangeFixture } from './wtr-fixture.mjs';
import { counting } from './wtr-reporter.mjs';

function findChromium() {
  const paths = [
    process.env.CHROME_PATH,
    process.env.CHROMIUM_PATH,
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome-stable',
    '/usr/bin/google-chrome',
    '/snap/bin/chromium',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  ];
  const found = paths.find((path) => path && existsSync(path));
  if (!found)
    throw new Error('No Chromium found: install one, or set CHROME_PATH to the browser to test with.');
  return found;
}

export default {
  files: process.env.BROWSER_TESTS?.split(',') ?? ['test/browser/**/*.browser.ts'],
  rootDir: new URL('../..', import.meta.url).pathname,
  nodeResolve: false,
  concurrency: 1,
  browserStartTimeout: 120_000,
  testsStartTimeout: 120_000,
  testsFinishTimeout: 600_000,
  testFramework: { config: { timeout: 60_000 } },
  browsers: [
    chromeLauncher({
      launchOptions: {
        executablePath: findChromium(),
        headless: true,
        args: [
          '--no-sandbox',
          // WebGL2 with float32 render targets where there is no GPU.
          '--use-angle=swiftshader',
          '--enable-unsafe-swiftshader',
          '--ignore-gpu-blocklist',
          '--disable-quic',
          '--no-first-run',
          '--disable-background-networking',
          '--disable-component-update',
          '--disable-sync',
          '--disable-background-timer-throttling',
          '--disable-backgrounding-occluded-windows',
          '--disable-renderer-backgrounding',
        ],
      },
    }),
  ],
  middleware: [rangeFixture],
  plugins: [bundles()],
  reporters: [counting()],
};
