/** A count with its noun: `1 peer`, `3 peers`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
