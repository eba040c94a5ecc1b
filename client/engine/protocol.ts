import type { Compute } from '../ports/compute.ts';

/** What the page may ask of the worker by name: the compute's methods that answer. */
export type Method = Exclude<keyof Compute, 'device' | 'close'>;

/** Page to worker. The first is `open`; its answer is a `DeviceInfo`. */
export type Request =
  { id: number; method: 'open'; args: [OpenOptions] } | { id: number; method: Method; args: unknown[] };

export interface OpenOptions {
  emulatedMs: number | null;
  memoryBytes?: number | null;
  force?: 'cpu' | undefined;
}

/** Worker to page, one for each request. */
export type Response = { id: number; value: unknown } | { id: number; error: string };

/**
 * The buffers of all typed arrays in plain data, for `postMessage` to move. An array that is only a window on a larger
 * buffer is left out (and so copied): moving the buffer would take the rest away from its owner.
 */
export function buffersIn(value: unknown, found = new Set<ArrayBuffer>()): Set<ArrayBuffer> {
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteLength } = value;
    if (buffer instanceof ArrayBuffer && byteLength === buffer.byteLength) found.add(buffer);
  } else if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) buffersIn(part, found);
  }
  return found;
}
