/** Refuses what is not finite: one NaN from a peer would spread through every weight. */
export function assertFinite(data: Float32Array, what: string): void {
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i]))
      throw new Error(`${what} has a number that is not finite (${data[i]} at ${i}).`);
  }
}

export function assertLength(data: { length: number }, expected: number, what: string): void {
  if (data.length !== expected) throw new Error(`${what} has ${data.length} numbers, not ${expected}.`);
}

export function assertCount(value: number, least: number, what: string): void {
  if (!Number.isInteger(value) || value < least)
    throw new Error(`${what} is ${value}, not a whole number >= ${least}.`);
}
