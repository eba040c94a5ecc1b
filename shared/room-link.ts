import { readRoomCode, ROOM_SECRET_PATTERN } from './ids.ts';

/** What a room's link holds. The secret is in the fragment, which browsers send to no server. */
export interface RoomLink {
  code: string;
  secret: string;
}

/** The path of a room's page with its secret: `/r/CODE#SECRET`. */
export const roomPath = (code: string, secret: string): string => `/r/${code}#${secret}`;

/** The link of a room on a server, such as `http://192.168.1.7:8080`. */
export const roomLink = (origin: string, code: string, secret: string): string =>
  origin.replace(/\/+$/, '') + roomPath(code, secret);

/** Reads a room's link, whole or only its path; `null` where it is none (`roomLinkProblem` says why). */
export function parseRoomLink(url: string): RoomLink | null {
  const read = readLink(url);
  return typeof read === 'string' ? null : read;
}

/** What is wrong with a room's link, as a sentence for people; `null` where nothing is. */
export function roomLinkProblem(url: string): string | null {
  const read = readLink(url);
  return typeof read === 'string' ? read : null;
}

function readLink(text: string): RoomLink | string {
  const url = readUrl(text.trim());
  if (!url) return 'This is not a link. A room link looks like http://192.168.1.7:8080/r/ACDEFG#secret.';
  const segment = /^\/r\/([^/]+)\/?$/.exec(url.pathname)?.[1];
  if (segment === undefined) return 'This link leads to no room: copy it again from the page of the room.';
  const code = readRoomCode(segment);
  if (code === null)
    return `"${segment}" is not a room code: copy the whole link again, or scan the QR code.`;
  const secret = url.hash.slice(1);
  if (secret === '') {
    return 'The part of the link after # is missing: copy the whole link again, or scan the QR code.';
  }
  if (!ROOM_SECRET_PATTERN.test(secret)) {
    return 'The part of the link after # is damaged: copy the whole link again, or scan the QR code.';
  }
  return { code, secret };
}

function readUrl(text: string): URL | null {
  try {
    return new URL(text, 'http://room.invalid');
  } catch {
    return null;
  }
}
