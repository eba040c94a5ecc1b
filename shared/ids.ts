import { LIMITS } from './limits.ts';

/** One browser tab in a room: `p` and nine characters, unique in the room, made anew at each visit. */
export type PeerId = string;

/** No 0/O, 1/I/L, 5/S, 8/B, 2/Z, U/V: a code read aloud or from a slide arrives as it was. */
const CODE_ALPHABET = 'ACDEFGHJKMNPQRTWXY34679';
const ID_ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const SECRET_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Gives the next random integer in [0, bound). */
export type RandomInt = (bound: number) => number;

export const PEER_ID_PATTERN = /^p[a-z0-9]{9}$/;
export const ROOM_CODE_PATTERN = new RegExp(`^[${CODE_ALPHABET}]{${LIMITS.room.codeChars}}$`);
export const ROOM_SECRET_PATTERN = new RegExp(`^[A-Za-z0-9_-]{${LIMITS.room.secretChars}}$`);

export const newPeerId = (random: RandomInt): PeerId => `p${pick(ID_ALPHABET, 9, random)}`;
export const newRoomCode = (random: RandomInt): string => pick(CODE_ALPHABET, LIMITS.room.codeChars, random);
export const newRoomSecret = (random: RandomInt): string =>
  pick(SECRET_ALPHABET, LIMITS.room.secretChars, random);

/** What a person typed or pasted, as a room code; `null` where it cannot be one. */
export function readRoomCode(text: string): string | null {
  const code = text.trim().toUpperCase().replaceAll(/[\s-]/g, '');
  return ROOM_CODE_PATTERN.test(code) ? code : null;
}

function pick(alphabet: string, count: number, random: RandomInt): string {
  return Array.from({ length: count }, () => alphabet[random(alphabet.length)]).join('');
}
