/**
 * Runs `make` so that every 2d canvas it opens is drawn by the processor. A canvas on the GPU waits there behind the
 * training's own work, and the page's thread with it: seconds without a heartbeat, and the room takes this peer for gone.
 */
export function onSoftwareCanvas<T>(make: () => T): T {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its canvas below
  const original = HTMLCanvasElement.prototype.getContext as (
    this: HTMLCanvasElement,
    kind: string,
    options?: object,
  ) => RenderingContext | null;
  HTMLCanvasElement.prototype.getContext = function (
    this: HTMLCanvasElement,
    kind: string,
    options?: object,
  ) {
    return original.call(this, kind, kind === '2d' ? { ...options, willReadFrequently: true } : options);
  } as typeof original;
  try {
    return make();
  } finally {
    HTMLCanvasElement.prototype.getContext = original;
  }
}
