import { randomInt } from 'node:crypto';
import { renderUnicodeCompact } from 'uqr';
import { newRoomCode, newRoomSecret } from '../shared/ids.ts';
import { roomLink } from '../shared/room-link.ts';
import { reachableAddresses } from './addresses.ts';
import { build, BuildError } from './build.ts';
import { loadCertificate } from './certificate.ts';
import { HELP, parseOptions, type StartOptions } from './options.ts';
import { StartError, startServer, type RunningServer } from './server.ts';

async function start(options: StartOptions): Promise<void> {
  const { port, host, https } = options;
  const { milliseconds } = await build();
  console.log(`Built the page in ${milliseconds} ms.`);
  const certificate = https ? await loadCertificate({ names: reachableAddresses(host) }) : undefined;
  const server = await startServer({ port, host, certificate });
  console.log(welcome(server, options));
  closeOnSignal(server);
}

function welcome(server: RunningServer, { room, https, host }: StartOptions): string {
  const code = room ?? newRoomCode(randomInt);
  const secret = newRoomSecret(randomInt);
  const link = (origin: string) => roomLink(origin, code, secret);
  const [best, ...others] = server.lanUrls;
  const lines = ['', `Room ${code} is open.`, '', `  On this machine:   ${link(server.url)}`];
  if (server.lanUrls.length > 0) {
    lines.push(`  On other devices:  ${link(best)}`);
    if (others.length > 0) lines.push(`  If that fails, instead of ${best}: ${others.join(', ')}`);
    lines.push(
      '',
      'Or scan this with a phone on the same network:',
      '',
      renderUnicodeCompact(link(best), { border: 2 }),
    );
  } else {
    lines.push(
      '',
      host === '0.0.0.0' || host === '::'
        ? 'This machine is on no network, so no phone can reach it. Join a Wi-Fi network; the link then changes.'
        : `Phones cannot reach ${host}. To let them in, start with --host 0.0.0.0`,
    );
  }
  if (https) {
    lines.push(
      '',
      'The certificate is self-signed, so each browser warns once: choose "Advanced", then "Proceed" (Safari: "Show',
      'Details", then "visit this website"). Links must begin with https://.',
    );
  }
  lines.push('', 'Whoever has the link can join and take part. Stop with Ctrl+C.', '');
  return lines.join('\n');
}

function closeOnSignal(server: RunningServer): void {
  let isClosing = false;
  const close = () => {
    // A second Ctrl+C: the person does not want to wait.
    if (isClosing) process.exit(1);
    isClosing = true;
    console.log('\nClosing. Devices that are linked already go on training.');
    server.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGINT', close);
  process.on('SIGTERM', close);
}

const parsed = parseOptions(process.argv.slice(2));
if (!parsed.ok) {
  console.error(parsed.message);
  process.exitCode = 2;
} else if (parsed.options.help) {
  console.log(HELP);
} else {
  try {
    await start(parsed.options);
  } catch (error) {
    console.error(error instanceof StartError || error instanceof BuildError ? error.message : error);
    process.exitCode = 1;
  }
}
