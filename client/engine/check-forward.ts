import { sizeOf } from '../model/shapes.ts';
import type { BlockSpec, ForwardTask } from '../ports/compute.ts';
import { assertCount, assertFinite, assertLength } from './checks.ts';

/** Refuses a task that does not fit the block; `where` names the micro-batch and the layers. */
export function checkForward(block: BlockSpec, { rows, input, labels }: ForwardTask, where: string): void {
  assertCount(rows, 1, `The number of rows of ${where}`);
  assertLength(input, rows * sizeOf(block.layers[0].inputShape), `Input of ${where}`);
  const wantsBytes = block.input.kind === 'samples';
  if (input instanceof Uint8Array !== wantsBytes) {
    throw new Error(`Input of ${where} should be ${wantsBytes ? 'bytes' : '32-bit numbers'}.`);
  }
  if (input instanceof Float32Array) assertFinite(input, `Input of ${where}`);
  if (!block.head) return;
  if (!labels) throw new Error(`Forward of ${where} came without labels.`);
  assertLength(labels, rows, `The labels of ${where}`);
  const [start, end] = block.layers.at(-1)!.units;
  const wrong = labels.find((label) => label >= end - start);
  if (wrong !== undefined)
    throw new Error(`Label ${wrong} of ${where} is not one of ${end - start} classes.`);
}
