import { readRoomCode } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import { parseRoomLink, roomLinkProblem } from '../../shared/room-link.ts';

/** Milliseconds by which messages come later: from everybody, or by the sender's name. */
export type Delay = number | ReadonlyMap<string, number>;

/** A visit to a room, as its link and the parameters for experiments describe it. */
export interface Visit {
  code: string;
  /** Null where somebody came by the code alone. */
  secret: string | null;
  name: string | null;
  /** Milliseconds for the whole model's forward of one micro-batch. */
  emulatedMs: number | null;
  /** What the tensors of this device may take. */
  memoryBytes: number | null;
  delay: Delay | null;
  /** Computes on the processor, whatever else there is. */
  onCpu: boolean;
  /** Joins without asking. */
  auto: boolean;
}

/** What the page's address asks for; `problem` is a sentence for people. */
export type PageUrl = { visit: Visit | null; problem: null } | { visit: null; problem: string };

const MAX_MS = 600_000;
const MAX_MEMORY_BYTES = 1e15;

/** Reads the page's own address, such as `/r/CODE?name=peer%201&device-ms=200&memory-mb=64&delay=peer%202:80&compute=cpu&auto=1#SECRET`. */
export function readPageUrl(href: string): PageUrl {
  const url = new URL(href, 'http://room.invalid');
  if (!url.pathname.startsWith('/r/')) return { visit: null, problem: null };
  try {
    const { searchParams } = url;
    return {
      visit: {
        ...readRoom(url),
        name: readName(searchParams.get('name')),
        emulatedMs: readEmulatedMs(searchParams.get('device-ms')),
        memoryBytes: readMemoryBytes(searchParams.get('memory-mb')),
        delay: readDelay(searchParams.get('delay')),
        onCpu: readOnCpu(searchParams.get('compute')),
        auto: readAuto(searchParams.get('auto')),
      },
      problem: null,
    };
  } catch (error) {
    return { visit: null, problem: error instanceof Error ? error.message : String(error) };
  }
}

/** Where what a person typed or pasted leads: a room's link or its code. Throws a message for people. */
export function readInvitation(text: string): Pick<Visit, 'code' | 'secret'> {
  if (text.trim() === '') throw new Error('Type the code of the room, or paste its link.');
  const code = readRoomCode(text);
  if (code !== null) return { code, secret: null };
  if (/[/:]/.test(text)) return readRoom(readUrl(text));
  throw new Error(
    `"${text.trim()}" is not a room code: a code has ${LIMITS.room.codeChars} letters and digits, without 0, 1, 2, 5, 8, B, I, L, O, S, U, V, Z.`,
  );
}

/** The function that a room takes its injected delays from. */
export function delayOf(delay: Delay): (name: string) => number {
  return typeof delay === 'number' ? () => delay : (name) => delay.get(name) ?? 0;
}

function readUrl(text: string): URL {
  const trimmed = text.trim();
  const whole = /^[a-z]+:\/\//i.test(trimmed) || trimmed.startsWith('/') ? trimmed : `http://${trimmed}`;
  try {
    return new URL(whole, 'http://room.invalid');
  } catch {
    throw new Error(roomLinkProblem(whole) ?? 'This is not a link.');
  }
}

function readRoom(url: URL): Pick<Visit, 'code' | 'secret'> {
  const code = readRoomCode(/^\/r\/([^/]+)\/?$/.exec(url.pathname)?.[1] ?? '');
  // Who was told the code alone may come in: nothing is sealed with the secret yet.
  if (code !== null && url.hash === '') return { code, secret: null };
  const link = parseRoomLink(url.href);
  if (!link) throw new Error(roomLinkProblem(url.href) ?? 'This link leads to no room.');
  return link;
}

function readName(text: string | null): string | null {
  if (text === null) return null;
  const name = text.trim();
  if (name === '') throw new Error('The name in the address (name=) is empty.');
  if (name.length > LIMITS.room.nameChars) {
    throw new Error(`The name in the address (name=) is longer than ${LIMITS.room.nameChars} characters.`);
  }
  return name;
}

function readEmulatedMs(text: string | null): number | null {
  if (text === null) return null;
  const ms = readMs(text);
  if (ms === null || ms === 0) throw new Error(complain('device-ms', text, 'device-ms=200'));
  return ms;
}

function readMemoryBytes(text: string | null): number | null {
  if (text === null) return null;
  const bytes = /^\s*\d+(\.\d+)?\s*$/.test(text) ? Math.round(Number(text) * 1e6) : 0;
  if (bytes >= 1 && bytes <= MAX_MEMORY_BYTES) return bytes;
  throw new Error(
    `The address says memory-mb=${text}, which is no size in MB (above 0, at most ${MAX_MEMORY_BYTES / 1e6}): write it like memory-mb=64.`,
  );
}

function readDelay(text: string | null): Delay | null {
  if (text === null) return null;
  const single = readMs(text);
  if (single !== null) return single;
  const byName = new Map<string, number>();
  for (const entry of text.split(',')) {
    const colon = entry.lastIndexOf(':');
    const name = entry.slice(0, Math.max(colon, 0)).trim();
    const ms = readMs(entry.slice(colon + 1));
    if (name === '' || ms === null || byName.has(name)) {
      throw new Error(complain('delay', text, 'delay=80 or delay=peer 2:80,peer 3:10'));
    }
    byName.set(name, ms);
  }
  return byName;
}

function readOnCpu(text: string | null): boolean {
  if (text === null) return false;
  if (text === 'cpu') return true;
  throw new Error(
    `The address says compute=${text}: use compute=cpu, or leave it out for the best there is.`,
  );
}

function readAuto(text: string | null): boolean {
  if (text === null || text === '0') return false;
  if (text === '1') return true;
  throw new Error(`The address says auto=${text}: use auto=1 to join without asking.`);
}

function readMs(text: string): number | null {
  if (!/^\s*\d+(\.\d+)?\s*$/.test(text)) return null;
  const ms = Number(text);
  return ms <= MAX_MS ? ms : null;
}

const complain = (parameter: string, value: string, example: string) =>
  `The address says ${parameter}=${value}, which is no time in milliseconds (at most ${MAX_MS}): write it like ${example}.`;
