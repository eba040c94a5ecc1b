import { engine, type Tensor2D } from '@tensorflow/tfjs-core';
import type { Through } from '../kernels.ts';
import { webglBackend, type WebglProgram } from '../webgl-backend.ts';
import { ownPlace, placed, placingOf, reader, type Placing, type Shape } from './texture.ts';

export type { Shape } from './texture.ts';
export { halfOf } from './texture.ts';

/** A program that computes one texel of its result at a time from matrices. */
export interface Program {
  /** Its inputs: `vec4 texelX(int r, int c)` reads matrix X, texel by texel; `reader` has more ways. */
  names: readonly string[];
  /** Of inputs that are read in runs: their rows of texels. */
  runs: Readonly<Record<string, number>>;
  shape: Shape;
  uniforms: readonly Uniform[];
  functions: string;
  /** Computes `vec4 result` for the texel `ivec2 own`, whose first number is at `ivec2 rc`. */
  body: string;
}

export interface Uniform {
  name: string;
  type: 'int' | 'float';
}

/** A texel t at (r, c), both even, holds t.x = (r, c), t.y = (r, c+1), t.z = (r+1, c), t.w = (r+1, c+1). */
export const packed = (
  names: readonly string[],
  shape: Shape,
  body: string,
  uniforms: readonly Uniform[] = [],
  functions = '',
  runs: Program['runs'] = {},
): Program => ({ names, shape, uniforms, functions, body, runs });

/** Numbers past an odd edge are kept at zero: later sums over rows or columns run across them. */
export function clearPadding([rows, columns]: Shape): string {
  const column = columns % 2 ? `if (rc.y + 1 >= ${columns}) result.yw = vec2(0.0);` : '';
  const row = rows % 2 ? `if (rc.x + 1 >= ${rows}) result.zw = vec2(0.0);` : '';
  return column + row;
}

/**
 * A program that computes each number by itself: `entry` is the body of `float entry(int r, int c)`, which reads number (i, j) of
 * input `X` as `atX(i, j)`.
 */
export function perEntry(
  names: readonly string[],
  shape: Shape,
  entry: string,
  uniforms: readonly Uniform[] = [],
  functions = '',
): Program {
  const readers = names.map(
    (name) => `
      float at${name}(int r, int c) {
        vec4 texel = texel${name}(r >> 1, c >> 1);
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
  return packed(names, shape, body, uniforms, all);
}

/** Runs a program that gives dLoss/dInput; the same program takes the gradient through what made the input. */
export function runBack(program: Program, inputs: readonly Tensor2D[], through: Through | null): Tensor2D {
  if (!through) return run(program, inputs);
  const { derivative, output } = through;
  const [d, y] = derivative.inputs;
  const body = `${program.body}
        {
          vec4 ${d} = result;
          vec4 ${y} = texelT(own.x, own.y);
          result = ${derivative.glsl};
        }`;
  return run({ ...program, names: [...program.names, 'T'], body }, [...inputs, output]);
}

/** Runs one of our programs; the output is a new tensor known to the engine. */
export function run(
  program: Program,
  inputs: readonly Tensor2D[],
  uniforms: readonly number[] = [],
): Tensor2D {
  const backend = webglBackend();
  const sources = inputs.map(placed);
  const target = placingOf(program.shape);
  const values = uniforms.map((value) => [value]);
  const output = backend.runWebGLProgram(
    forTfjs(program, sources, target),
    sources.map(({ info }) => info),
    'float32',
    values,
    true,
    target.line === null ? undefined : target.texture,
  );
  for (const { info, isCopy } of sources) if (isCopy) backend.disposeIntermediateTensorInfo(info);
  return engine().makeTensorFromTensorInfo(output) as Tensor2D;
}

/** What tfjs calls dense: the only way to say which size a texture has. */
const OWN_TEXTURE = { outPackingScheme: 0 };

/** tfjs's own readers divide whole numbers for every texel that they read. */
function forTfjs(
  { names, runs, shape, uniforms, functions, body }: Program,
  sources: readonly { placing: Placing }[],
  target: Placing,
): WebglProgram {
  const readers = names.map((name, i) => reader(name, sources[i].placing, runs[name]));
  return {
    variableNames: [...names],
    outputShape: [...shape],
    packedInputs: true,
    packedOutput: true,
    customUniforms: [...uniforms],
    ...(target.line !== null && OWN_TEXTURE),
    userCode: `${readers.join('\n')}
      ${functions}
      void main() {
        ${ownPlace(target)}
        ivec2 rc = 2 * own;
        vec4 result = vec4(0.0);
        ${body}
        setOutput(result);
      }`,
  };
}

/** Replaces a consumed tensor by its successor. */
export function replace(old: Tensor2D | null, make: () => Tensor2D): Tensor2D {
  const next = make();
  old?.dispose();
  return next;
}
