import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { DenseKernels, Through, WindowKernels } from './kernels.ts';
import type { Window } from './window.ts';

export interface PatchKernels {
  /** What each window sees: [rows * places, window * channels]; zeros beyond the edges. */
  patches(x: Tensor2D, window: Window): Tensor2D;
  /** The backward of `patches`: every number summed over the windows that see it. */
  fromPatches(dp: Tensor2D, window: Window, through: Through | null): Tensor2D;
}

export type Convolutions = Pick<WindowKernels, 'convolve' | 'convolveBack' | 'addConvolutionGradient'>;

/** A convolution as a product: each row is what the window sees at one place, written out for every pass instead of kept. */
export const byPatches = (windows: PatchKernels, products: DenseKernels): Convolutions => ({
  convolve(x, kernel, bias, activation, window) {
    const seen = windows.patches(x, window);
    const result = products.dense(seen, [kernel], bias, activation);
    seen.dispose();
    return result;
  },

  convolveBack(dz, kernel, window, through) {
    const seenGradient = products.denseInputGradient(dz, [kernel], null);
    const result = windows.fromPatches(seenGradient, window, through);
    seenGradient.dispose();
    return result;
  },

  addConvolutionGradient(sum, x, dz, window) {
    const seen = windows.patches(x, window);
    const result = products.addKernelGradient(sum, [{ x: seen, dz }], 0, seen.shape[1]);
    seen.dispose();
    return result;
  },
});
