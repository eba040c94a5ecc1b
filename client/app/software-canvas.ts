/**
 * Runs `make` so that every 2d canvas it opens is drawn by the processor. A canvas on the GPU waits there behind the
 * training's own work, and the page's thread with it: seconds without a heartbeat, and the room takes this peer for gone.
 */
export function onSoftwareCanvas<T>(make: () => T): T {
  const prototype = HTMLCanvasElement.prototype as { getContext: GetContext };
  const original = prototype.getContext;
  prototype.getContext = function (kind, options) {
    return original.call(this, kind, kind === '2d' ? { ...options, willReadFrequently: true } : options);
  };
  try {
    return make();
  } finally {
    prototype.getContext = original;
  }
}

type GetContext = (this: HTMLCanvasElement, kind: string, options?: object) => RenderingContext | null;
