import { engine, type Tensor2D } from '@tensorflow/tfjs-core';
import type { GPGPUProgram } from '@tensorflow/tfjs-backend-webgl';
import { webglBackend } from '../webgl-backend.ts';

export type Program = GPGPUProgram;
export type Shape = readonly [rows: number, columns: number];

/** A texel t at (r, c), both even, holds t.x = (r, c), t.y = (r, c+1), t.z = (r+1, c), t.w = (r+1, c+1). */
export function packed(
  variableNames: string[],
  [rows, columns]: Shape,
  body: string,
  customUniforms: GPGPUProgram['customUniforms'] = [],
  functions = '',
): Program {
  return {
    variableNames,
    outputShape: [rows, columns],
    packedInputs: true,
    packedOutput: true,
    customUniforms,
    userCode: `${functions}
      void main() {
        ivec2 rc = getOutputCoords();
        vec4 result = vec4(0.0);
        ${body}
        setOutput(result);
      }`,
  };
}

/** Numbers past an odd edge are kept at zero: later sums over rows or columns run across them. */
export function clearPadding([rows, columns]: Shape): string {
  const column = columns % 2 ? `if (rc.y + 1 >= ${columns}) result.yw = vec2(0.0);` : '';
  const row = rows % 2 ? `if (rc.x + 1 >= ${rows}) result.zw = vec2(0.0);` : '';
  return column + row;
}

export const halfOf = (extent: number): number => Math.ceil(extent / 2);

/**
 * A program that computes each number by itself: `entry` is the body of `float entry(int r, int c)`, which reads number (i, j) of
 * input `X` as `atX(i, j)`.
 */
export function perEntry(
  variableNames: string[],
  shape: Shape,
  entry: string,
  customUniforms: GPGPUProgram['customUniforms'] = [],
  functions = '',
): Program {
  const readers = variableNames.map(
    (name) => `
      float at${name}(int r, int c) {
        vec4 texel = get${name}(r, c);
        vec2 pair = (r & 1) == 0 ? texel.xy : texel.zw;
        return (c & 1) == 0 ? pair.x : pair.y;
      }`,
  );
  const body = `
        bool below = rc.x + 1 < ${shape[0]};
        bool right = rc.y + 1 < ${shape[1]};
        result.x = entry(rc.x, rc.y);
        if (right) result.y = entry(rc.x, rc.y + 1);
        if (below) result.z = entry(rc.x + 1, rc.y);
        if (below && right) result.w = entry(rc.x + 1, rc.y + 1);`;
  const all = `${readers.join('')}
      ${functions}
      float entry(int r, int c) {
        ${entry}
      }`;
  return packed(variableNames, shape, body, customUniforms, all);
}

/** Runs one of our programs; the output is a new tensor known to the engine. */
export function run(
  program: Program,
  inputs: readonly Tensor2D[],
  uniforms: readonly number[] = [],
): Tensor2D {
  const values = uniforms.map((value) => [value]);
  const output = webglBackend().runWebGLProgram(program, [...inputs], 'float32', values, true);
  return engine().makeTensorFromTensorInfo(output) as Tensor2D;
}

/** Replaces a consumed tensor by its successor. */
export function replace(old: Tensor2D | null, make: () => Tensor2D): Tensor2D {
  const next = make();
  old?.dispose();
  return next;
}
