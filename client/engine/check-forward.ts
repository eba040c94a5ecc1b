import { widthOf } from '../model/graph.ts';
import type { BlockSpec, ForwardTask } from '../ports/compute.ts';
import { logitsOf } from './block-plan.ts';
import { assertCount, assertFinite, assertLength } from './checks.ts';
import { registerWidth } from './matrix.ts';

/** Refuses a task that does not fit the block; `where` names the micro-batch and the layers. */
export function checkForward(
  block: BlockSpec,
  { segment, rows, input, labels }: ForwardTask,
  where: string,
): void {
  assertCount(rows, 1, `The number of rows of ${where}`);
  const { input: register } = block.segments[segment];
  if (register !== null) {
    if (!input) throw new Error(`Forward of ${where} came without its input.`);
    assertLength(input, rows * registerWidth(block.registers[register]), `Input of ${where}`);
    const wantsBytes = block.input.kind === 'samples' && segment === 0;
    if (input instanceof Uint8Array !== wantsBytes) {
      throw new Error(`Input of ${where} should be ${wantsBytes ? 'bytes' : '32-bit numbers'}.`);
    }
    if (input instanceof Float32Array) assertFinite(input, `Input of ${where}`);
  }
  const logits = logitsOf(block, segment);
  if (logits === null) return;
  if (!labels) throw new Error(`Forward of ${where} came without labels.`);
  assertLength(labels, rows, `The labels of ${where}`);
  const classes = widthOf(block.registers[logits].shape);
  const wrong = labels.find((label) => label >= classes);
  if (wrong !== undefined) throw new Error(`Label ${wrong} of ${where} is not one of ${classes} classes.`);
}
