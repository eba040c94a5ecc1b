import { isIP } from 'node:net';
import { FlagError, readFlags, readPort, type FlagSpec, type GivenFlags } from '../shared/flags.ts';
import { readRoomCode } from '../shared/ids.ts';
import { LIMITS } from '../shared/limits.ts';

export interface StartOptions {
  port: number;
  host: string;
  https: boolean;
  /** The room's code, if the person chose one. */
  room: string | null;
  help: boolean;
}

export type ParsedOptions = { ok: true; options: StartOptions } | { ok: false; message: string };

const FLAGS = {
  port: { example: '--port 8081' },
  host: { example: '--host 0.0.0.0' },
  room: { example: '--room ACDEFG' },
  https: { example: '--https', isSwitch: true },
  help: { example: '--help', isSwitch: true, short: 'h' },
} satisfies Record<string, FlagSpec>;
type Flag = keyof typeof FLAGS;

export const HELP = `Starts EdgePipe: a page on which the phones and laptops in a room train one neural network.

  npm start -- [flags]

  --port N      port to listen on (8080; 0 takes any free one)
  --host ADDR   address to listen on (0.0.0.0: every network; 127.0.0.1: this machine only)
  --room CODE   code of the room, ${LIMITS.room.codeChars} characters such as ACDEFG (a new one at each start)
  --https       serve over https with a self-signed certificate (phones warn once)
  --help, -h    show this
`;

/** Reads the command line; what is wrong with it is one sentence that names the flag. */
export function parseOptions(args: string[]): ParsedOptions {
  try {
    return { ok: true, options: optionsOf(readFlags<Flag>(args, FLAGS)) };
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    return { ok: false, message: `${error.message} All flags: npm start -- --help` };
  }
}

function optionsOf(given: GivenFlags<Flag>): StartOptions {
  const valueOf = (flag: Flag) => given.get(flag) as string | undefined;
  const [port, host, room] = [valueOf('port'), valueOf('host'), valueOf('room')];
  return {
    port: port === undefined ? 8080 : readPort(port, FLAGS.port.example),
    host: host === undefined ? '0.0.0.0' : readHost(host),
    https: given.has('https'),
    room: room === undefined ? null : readRoom(room),
    help: given.has('help'),
  };
}

function readHost(text: string): string {
  if (isIP(text) || /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(text)) return text;
  throw new FlagError(
    `--host wants an address of this machine, not "${text}": for example ${FLAGS.host.example}.`,
  );
}

function readRoom(text: string): string {
  const code = readRoomCode(text);
  if (code !== null) return code;
  throw new FlagError(
    `--room wants a code of ${LIMITS.room.codeChars} letters and digits, not "${text}" ` +
      `(none of 0 1 2 5 8 B I L O S U V Z, which look alike): for example ${FLAGS.room.example}.`,
  );
}
