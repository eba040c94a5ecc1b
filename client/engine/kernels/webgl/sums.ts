import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { ElementwiseProgram, ProgramInputs, Summand } from '../elementwise.ts';
import { clearPadding, halfOf, packed, run, type Program, type Shape, type Uniform } from './program.ts';

/** Reads every input of a formula at texel (row, column) into a variable of its name. */
function reads({ inputs, columns = [], rows = [] }: ProgramInputs, row: string, column: string): string {
  return inputs
    .map((name) => {
      const get = `texel${name.toUpperCase()}`;
      if (columns.includes(name)) return `vec4 ${name} = ${get}(0, ${column}).xyxy;`;
      if (rows.includes(name)) return `vec4 ${name} = ${get}(${row}, 0).xxzz;`;
      return `vec4 ${name} = ${get}(${row}, ${column});`;
    })
    .join('\n');
}

const variables = ({ inputs }: ProgramInputs): string[] => inputs.map((name) => name.toUpperCase());

const uniformsOf = ({ uniforms }: ProgramInputs): Uniform[] =>
  uniforms.map((name) => ({ name, type: 'float' as const }));

/** One output element from the same element of every input. */
export function elementwiseProgram(program: ElementwiseProgram, shape: Shape): Program {
  const body = `${reads(program, 'own.x', 'own.y')}
        result = ${program.glsl};
        ${clearPadding(shape)}`;
  return packed(variables(program), shape, body, uniformsOf(program));
}

export function columnSums(
  summand: Summand,
  inputs: readonly Tensor2D[],
  uniforms: readonly number[],
): Tensor2D {
  const [rows, columns] = inputs[0].shape;
  const edge = rows % 2 ? `if (i == ${halfOf(rows) - 1}) value.zw = vec2(0.0);` : '';
  const body = `for (int i = 0; i < ${halfOf(rows)}; i++) {
          ${reads(summand, 'i', 'own.y')}
          vec4 value = ${summand.glsl};
          ${edge}
          result.xy += value.xy + value.zw;
        }
        ${clearPadding([2, columns])}`;
  return run(packed(variables(summand), [1, columns], body, uniformsOf(summand)), inputs, uniforms);
}

export function rowSums(
  summand: Summand,
  inputs: readonly Tensor2D[],
  uniforms: readonly number[],
): Tensor2D {
  const [rows, columns] = inputs[0].shape;
  const edge = columns % 2 ? `if (i == ${halfOf(columns) - 1}) value.yw = vec2(0.0);` : '';
  const body = `for (int i = 0; i < ${halfOf(columns)}; i++) {
          ${reads(summand, 'own.x', 'i')}
          vec4 value = ${summand.glsl};
          ${edge}
          result.xz += value.xz + value.yw;
        }
        ${clearPadding([rows, 2])}`;
  return run(packed(variables(summand), [rows, 1], body, uniformsOf(summand)), inputs, uniforms);
}

export function rowHighest(x: Tensor2D): Tensor2D {
  const [rows, columns] = x.shape;
  const edge = columns % 2 ? `if (i == ${halfOf(columns) - 1}) value.yw = value.xz;` : '';
  const body = `result.xz = texelX(own.x, 0).xz;
        for (int i = 0; i < ${halfOf(columns)}; i++) {
          vec4 value = texelX(own.x, i);
          ${edge}
          result.xz = max(result.xz, max(value.xz, value.yw));
        }
        ${clearPadding([rows, 2])}`;
  return run(packed(['X'], [rows, 1], body), [x]);
}
