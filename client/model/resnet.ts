import type { LayerSpec, ModelSpec } from '../../shared/model.ts';

/** Channels of the first convolution. */
const FIRST_CHANNELS = 8;
/** Channels of the residual blocks; each but the first halves the image. */
const BLOCK_CHANNELS = [8, 16, 32] as const;
/** Of the moving statistics: runs of a few hundred steps must have forgotten where they began. */
const MOMENTUM = 0.9;

/**
 * A small residual network (He et al., 2016): a convolution and a pooling, three residual blocks, the mean of each channel,
 * the logits. A block that changes the shape has a projection by 1 x 1 as its short cut.
 */
export function resnet(side: number, classes: number): ModelSpec {
  const list = new LayerList();
  list.convolution(FIRST_CHANNELS, 3, 1);
  list.normalisation();
  list.relu();
  list.add({
    kind: 'maxPooling2d',
    name: 'max_pooling2d_1',
    poolSize: [2, 2],
    strides: [2, 2],
    padding: 'valid',
  });
  BLOCK_CHANNELS.forEach((channels, i) => list.residual(channels, i > 0));
  list.add({ kind: 'globalAveragePooling2d', name: 'global_average_pooling2d_1' });
  list.add({ kind: 'dense', name: 'dense_1', units: classes, activation: 'linear', useBias: true });
  return {
    name: 'resnet',
    inputShape: [side, side, 1],
    layers: list.layers,
    loss: 'softmaxCrossEntropy',
  };
}

/** Layers in order, numbered by kind as they are named: `conv2d_1`, `conv2d_2` and so on. */
class LayerList {
  readonly layers: LayerSpec[] = [];
  readonly #counts = new Map<string, number>();

  /** Appends a layer and returns its name. */
  add(layer: LayerSpec): string {
    this.layers.push(layer);
    return layer.name;
  }

  residual(channels: number, isHalving: boolean): void {
    const before = this.layers[this.layers.length - 1].name;
    const stride = isHalving ? 2 : 1;
    this.convolution(channels, 3, stride);
    this.normalisation();
    this.relu();
    this.convolution(channels, 3, 1);
    const end = this.normalisation();
    const shortCut = isHalving ? this.convolution(channels, 1, stride, [before]) : before;
    this.add({ kind: 'add', name: this.#named('add'), inputs: [end, shortCut] });
    this.relu();
  }

  /** Without a bias: a normalisation follows, or has been. */
  convolution(units: number, size: number, stride: number, inputs?: string[]): string {
    return this.add({
      kind: 'conv2d',
      name: this.#named('conv2d'),
      units,
      kernelSize: [size, size],
      strides: [stride, stride],
      padding: 'same',
      activation: 'linear',
      useBias: false,
      ...(inputs && { inputs }),
    });
  }

  normalisation(): string {
    return this.add({
      kind: 'batchNormalization',
      name: this.#named('batch_normalization'),
      momentum: MOMENTUM,
      epsilon: 1e-3,
      center: true,
      scale: true,
    });
  }

  relu(): void {
    this.add({ kind: 'activation', name: this.#named('activation'), activation: 'relu' });
  }

  #named(kind: string): string {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    return `${kind}_${count}`;
  }
}
