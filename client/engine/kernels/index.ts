import type { Kernels } from './kernels.ts';
import { cpuKernels } from './cpu.ts';
import { webglKernels } from './webgl.ts';

export type { Kernels, Through } from './kernels.ts';

const KERNELS: readonly Kernels[] = [cpuKernels, webglKernels];

/** The kernels of a tfjs backend. Throws for one that has none. */
export function kernelsOf(backend: string): Kernels {
  const found = KERNELS.find((kernels) => kernels.backend === backend);
  if (!found) throw new Error(`There are no kernels for the tfjs backend "${backend}".`);
  return found;
}
