import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Importance, Register } from '../ports/compute.ts';
import type { ElementwiseProgram } from './kernels/elementwise.ts';
import type { Kernels } from './kernels/index.ts';

/** How much of the old average stays. */
const STAYS = 0.9;

const average: ElementwiseProgram = {
  inputs: ['a', 'x'],
  uniforms: ['stays', 'factor'],
  glsl: 'stays * a + (1.0 - stays) * factor * x',
  cpu: ([a, x], [stays, factor]) => {
    for (let i = 0; i < a.length; i++) a[i] = stays * a[i] + (1 - stays) * factor * x[i];
  },
};

/** Taylor scores of the units in some registers, as moving averages on the device. */
export class Scores {
  private readonly averages = new Map<number, Tensor2D>();

  constructor(
    private readonly kernels: Kernels,
    private readonly registers: readonly Register[],
  ) {}

  /** One more micro-batch: the output h of a register and its whole gradient, of the mean loss over `rows` samples. */
  add(register: number, h: Tensor2D, gradient: Tensor2D, rows: number): void {
    const { kernels } = this;
    const { shape, held } = this.registers[register];
    const layout = { rows, outer: shape.outer, units: held[1] - held[0], inner: shape.inner };
    const products = kernels.unitProducts(h, gradient, layout);
    const sums = kernels.addColumnSums(null, [products]);
    products.dispose();
    // The gradient is of the mean over rows already, so the sum over rows is the mean over samples of each sample's own.
    const old = this.averages.get(register);
    const first = old ?? kernels.elementwise(average, kernels.copy(sums), [sums], [0, 1]);
    this.averages.set(register, old ? kernels.elementwise(average, old, [sums], [STAYS, 1]) : first);
    sums.dispose();
  }

  get tensors(): Tensor2D[] {
    return [...this.averages.values()];
  }

  /** Registers of one space and the same units add up: a residual connection passes a unit's numbers on several times. */
  read(): Importance[] {
    const found = new Map<string, Importance>();
    for (const [register, tensor] of this.averages) {
      const { shape, held } = this.registers[register];
      const key = `${shape.space}/${held.join('-')}`;
      const scores = tensor.dataSync<'float32'>();
      const known = found.get(key);
      if (known) scores.forEach((score, i) => (known.scores[i] += score));
      else found.set(key, { space: shape.space, held, scores: scores.slice() });
    }
    return [...found.values()];
  }
}
