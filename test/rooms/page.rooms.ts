import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { chromium, type Browser, type Page } from 'playwright-core';
import { findOrInstallChromium, launchFlags } from '../../client/cli/chromium.ts';

const SHOTS = 'dist/screenshots';

/** `npm start` on a free port, as a person runs it; gives the room's link that it prints. */
async function start(): Promise<{ server: ChildProcess; link: string }> {
  const server = spawn(
    process.execPath,
    ['--import', 'tsx', 'signaling/start.ts', '--port', '0', '--host', '127.0.0.1'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const link = await new Promise<string>((resolve, reject) => {
    let output = '';
    server.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const found = /http:\/\/localhost:\d+\/r\/\S+/.exec(output)?.[0];
      if (found) resolve(found);
    });
    setTimeout(() => reject(new Error(`npm start gave no link: ${output}`)), 30_000).unref();
    server.on('exit', () => reject(new Error(`npm start ended: ${output}`)));
  });
  return { server, link };
}

/** A browser of its own, with one page at the link. */
async function visit(
  browser: Browser,
  link: string,
  name: string,
  size: { width: number; height: number },
): Promise<Page> {
  const page = await (await browser.newContext({ viewport: size })).newPage();
  await page.goto(link);
  await page.getByLabel('Your name in the room').fill(name);
  await page.getByRole('button', { name: 'Join the room' }).click();
  return page;
}

describe('the page of npm start', () => {
  let server: ChildProcess;
  let link: string;
  const browsers: Browser[] = [];

  before(async () => {
    await mkdir(SHOTS, { recursive: true });
    ({ server, link } = await start());
    const executablePath = await findOrInstallChromium();
    for (let i = 0; i < 2; i++)
      browsers.push(await chromium.launch({ executablePath, args: launchFlags(), chromiumSandbox: false }));
  });

  after(async () => {
    for (const browser of browsers) await browser.close();
    const exit = once(server, 'exit');
    server.kill('SIGTERM');
    await exit;
  });

  it(
    'two browsers open the link: both are listed and linked, and Start trains',
    { timeout: 1_200_000 },
    async () => {
      const laptop = await visit(browsers[0], link, 'Ada', { width: 1280, height: 800 });
      const phone = await visit(browsers[1], link, 'Grace', { width: 360, height: 740 });
      for (const page of [laptop, phone]) {
        for (const name of ['Ada', 'Grace'])
          await page.locator('ep-peers').getByText(name, { exact: true }).waitFor({ timeout: 300_000 });
      }
      await phone.screenshot({ path: `${SHOTS}/phone-room.png`, fullPage: true });

      await laptop.getByText('Settings', { exact: true }).click();
      await laptop.getByLabel('Steps', { exact: true }).fill('100');
      const startButton = laptop.getByRole('button', { name: 'Start', exact: true });
      await startButton.waitFor();
      for (const deadline = Date.now() + 60_000; !(await startButton.isEnabled());) {
        assert.ok(
          Date.now() < deadline,
          `Start stays disabled: ${await laptop.locator('ep-run-form').innerText()}`,
        );
        await laptop.waitForTimeout(200);
      }
      await startButton.click();
      await phone
        .getByText(/^[2-9]\d of 100$/)
        .first()
        .waitFor({ timeout: 300_000 });
      await phone.screenshot({ path: `${SHOTS}/phone-training.png`, fullPage: true });
      await laptop.screenshot({ path: `${SHOTS}/laptop-training.png`, fullPage: true });

      for (const page of [laptop, phone]) {
        await page
          .getByText(/of 10,000 samples right/)
          .first()
          .waitFor({ timeout: 900_000 });
      }
      await laptop.screenshot({ path: `${SHOTS}/laptop-finished.png`, fullPage: true });
      const download = laptop.waitForEvent('download');
      await laptop.getByRole('button', { name: 'Download report' }).click();
      assert.match((await download).suggestedFilename(), /\.json$/);
    },
  );

  it('a link that is none is refused with the reason', { timeout: 60_000 }, async () => {
    const page = await browsers[0].newPage();
    await page.goto(new URL('/r/OOPS1', link).href);
    await page.getByRole('alert').first().waitFor();
    assert.match(await page.getByRole('alert').first().innerText(), /code|link/i);
  });
});
