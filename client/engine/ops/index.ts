import { Linear, type Finish } from './linear.ts';
import { normalization, softmax } from './normalization.ts';
import type { OpContext, RunningOp } from './op.ts';
import * as unitwise from './unitwise.ts';

export type { LearnedFrom, Pass, RunningOp, WeightWork } from './op.ts';

/** An op ready to run. `finish`: what follows a product within its layer. Throws for a kind that this version does not know. */
export function openOp(context: OpContext, finish: Finish): RunningOp {
  const { op, layer } = context.op;
  switch (op.kind) {
    case 'dense':
    case 'conv2d':
      return new Linear(context, finish);
    case 'bias':
      return unitwise.bias(context);
    case 'activation':
      return unitwise.activation(context, op);
    case 'leakyRelu':
      return unitwise.leaky(context, op);
    case 'dropout':
      return unitwise.dropout(context, op);
    case 'maxPooling2d':
    case 'averagePooling2d':
      return unitwise.pooling(context, op);
    case 'globalAveragePooling2d':
      return unitwise.globalAverage(context);
    case 'depthwiseConv2d':
      return unitwise.depthwise(context, op);
    case 'reshape':
      return unitwise.reshaping(context);
    case 'add':
      return unitwise.addition(context);
    case 'narrow':
      return unitwise.narrowing(context);
    case 'batchNormalization':
    case 'layerNormalization':
      return normalization(context, op);
    case 'softmax':
      return softmax(context);
    default:
      throw new Error(`Layer ${layer}: kind "${(op as { kind: string }).kind}" is unknown.`);
  }
}
