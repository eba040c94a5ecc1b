import { LIMITS } from '../../shared/limits.ts';

const KEY = 'edgepipe-name';
const KINDS = ['Amber', 'Brisk', 'Calm', 'Clever', 'Gentle', 'Jolly', 'Keen', 'Quiet', 'Sunny', 'Swift'];
const ANIMALS = ['Badger', 'Finch', 'Fox', 'Hare', 'Heron', 'Lynx', 'Otter', 'Owl', 'Seal', 'Wren'];

/** The name used last on this device, else a friendly new one. */
export function rememberedName(random: (bound: number) => number): string {
  try {
    const name = localStorage.getItem(KEY)?.trim().slice(0, LIMITS.room.nameChars);
    if (name) return name;
  } catch {
    // Private windows may keep nothing: a new name each time will do.
  }
  return `${KINDS[random(KINDS.length)]} ${ANIMALS[random(ANIMALS.length)]}`;
}

export function rememberName(name: string): void {
  try {
    localStorage.setItem(KEY, name);
  } catch {
    // As above.
  }
}
