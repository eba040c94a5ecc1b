import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BrowserError,
  canSandbox,
  findChromium,
  findOrInstallChromium,
  LAUNCH_FLAGS,
  launchFlags,
  type Machine,
} from '../../client/cli/chromium.ts';

interface FakeMachine extends Machine {
  programs: Set<string>;
  commands: string[];
  said: string[];
}

function machine(
  given: Partial<Machine> & { has?: string[]; installs?: string[]; sudo?: boolean } = {},
): FakeMachine {
  const { has = [], installs = [], sudo = false, ...rest } = given;
  const programs = new Set(has);
  const commands: string[] = [];
  const said: string[] = [];
  return {
    platform: 'linux',
    env: { PATH: '/usr/local/bin:/usr/bin' },
    isRoot: false,
    programs,
    commands,
    said,
    exists: (path) => programs.has(path),
    isExecutable: (path) => programs.has(path) && !path.endsWith('.txt'),
    run: (command, args) => {
      const line = [command, ...args].join(' ');
      commands.push(line);
      if (line === 'sudo -n true') return Promise.resolve(sudo ? 0 : 1);
      if (line.includes('install')) installs.forEach((path) => programs.add(path));
      return Promise.resolve(0);
    },
    say: (message) => said.push(message),
    ...rest,
  };
}

describe('finding a browser', () => {
  it('takes the one that is asked for', () => {
    assert.equal(findChromium('/opt/c', machine({ has: ['/opt/c', '/usr/bin/chromium'] })), '/opt/c');
  });

  it('does not take another one instead', async () => {
    const here = machine({ has: ['/usr/bin/chromium', '/a.txt'] });
    await assert.rejects(findOrInstallChromium('/opt/c', here), /--browser names \/opt\/c.*is not there/);
    assert.throws(() => findChromium('/a.txt', here), /no program that can be started/);
  });

  for (const name of ['CHROME_PATH', 'CHROMIUM_PATH', 'PUPPETEER_EXECUTABLE_PATH']) {
    it(`heeds ${name}`, () => {
      const env = { [name]: '/opt/c', PATH: '/usr/bin' };
      assert.equal(findChromium(undefined, machine({ env, has: ['/opt/c', '/usr/bin/chromium'] })), '/opt/c');
      assert.throws(
        () => findChromium(undefined, machine({ env, has: ['/usr/bin/chromium'] })),
        (error) => error instanceof BrowserError && error.message.includes(`leave ${name} out`),
      );
    });
  }

  const places: [what: string, given: Parameters<typeof machine>[0], path: string][] = [
    ['on the PATH', { env: { PATH: '/x:/y' }, has: ['/y/google-chrome'] }, '/y/google-chrome'],
    ['in a usual place of Linux', { env: {}, has: ['/snap/bin/chromium'] }, '/snap/bin/chromium'],
    [
      'on macOS',
      { platform: 'darwin', has: ['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'] },
      '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    ],
    [
      'on Windows',
      {
        platform: 'win32',
        env: { PROGRAMFILES: 'C:\\Program Files' },
        has: ['C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe'],
      },
      'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
    ],
  ];
  for (const [what, given, path] of places) {
    it(`finds one ${what}`, () => assert.equal(findChromium(undefined, machine(given)), path));
  }

  it('says when there is none', () => assert.equal(findChromium(undefined, machine()), null));
});

describe('installing a browser', () => {
  const installs = ['/usr/bin/chromium'];

  it('installs nothing where one is there', async () => {
    const here = machine({ isRoot: true, has: ['/usr/bin/apt-get', '/usr/bin/chromium'] });
    assert.equal(await findOrInstallChromium(undefined, here), '/usr/bin/chromium');
    assert.deepEqual(here.commands, []);
  });

  it('says so and uses apt-get as root', async () => {
    const here = machine({ isRoot: true, has: ['/usr/bin/apt-get'], installs });
    assert.equal(await findOrInstallChromium(undefined, here), '/usr/bin/chromium');
    assert.match(here.said[0], /installing Chromium/);
    const [update, install] = here.commands;
    assert.match(update, /^env DEBIAN_FRONTEND=noninteractive apt-get .*update$/);
    assert.match(install, /apt-get .*install -y chromium$/);
  });

  it('uses sudo where it asks for no password', async () => {
    const here = machine({ has: ['/usr/bin/apt-get'], installs, sudo: true });
    assert.equal(await findOrInstallChromium(undefined, here), '/usr/bin/chromium');
    assert.match(
      here.commands[2],
      /^sudo -n env DEBIAN_FRONTEND=noninteractive apt-get .*install -y chromium$/,
    );
  });

  const failures: [what: string, given: Parameters<typeof machine>[0], words: RegExp][] = [
    ['without a password', { has: ['/usr/bin/apt-get'] }, /sudo apt-get update.*--browser PATH/],
    ['without apt-get', {}, /package chromium/],
    ['on a Mac', { platform: 'darwin' }, /google\.com\/chrome/],
    ['where apt-get fails', { isRoot: true, has: ['/usr/bin/apt-get'] }, /no Chromium or Chrome/],
  ];
  for (const [what, given, words] of failures) {
    it(`says what to do ${what}`, async () => {
      await assert.rejects(
        findOrInstallChromium(undefined, machine(given)),
        (error) =>
          error instanceof BrowserError && words.test(error.message) && !error.message.includes('\n'),
      );
    });
  }
});

describe('launch flags', () => {
  it('give up the sandbox only as root or on a build machine', () => {
    assert.deepEqual(launchFlags({ env: {}, isRoot: false }), [...LAUNCH_FLAGS]);
    assert.ok(launchFlags({ env: {}, isRoot: true }).includes('--no-sandbox'));
    assert.ok(launchFlags({ env: { CI: 'true' }, isRoot: false }).includes('--no-sandbox'));
    assert.equal(canSandbox({ env: {}, isRoot: false }), true);
  });
});
