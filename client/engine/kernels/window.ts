import type { Pair } from '../../../shared/model.ts';

/** A window that slides over images [rows * height * width, channels]. */
export interface Window {
  height: number;
  width: number;
  outHeight: number;
  outWidth: number;
  size: Pair;
  strides: Pair;
  /** What lies above and to the left of the image. */
  padding: Pair;
}

/** The window of a convolution or a pooling on images of `shape`, placed as in tfjs. */
export function windowOf(
  [height, width]: readonly number[],
  size: Pair,
  strides: Pair,
  padding: 'same' | 'valid',
): Window {
  const along = (extent: number, window: number, stride: number): [out: number, before: number] => {
    if (padding === 'valid') return [Math.ceil((extent - window + 1) / stride), 0];
    const out = Math.ceil(extent / stride);
    return [out, Math.max(0, (out - 1) * stride + window - extent) >> 1];
  };
  const [outHeight, top] = along(height, size[0], strides[0]);
  const [outWidth, left] = along(width, size[1], strides[1]);
  return { height, width, outHeight, outWidth, size, strides, padding: [top, left] };
}

/** True where each window is just the number that it lies on. */
export const isPointwise = ({ size, strides }: Window): boolean =>
  [...size, ...strides].every((extent) => extent === 1);
