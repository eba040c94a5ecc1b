import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Activation } from '../../../shared/model.ts';
import { ACTIVATIONS } from './webgl/activations.ts';
import { clearPadding, halfOf, packed, type Program, type Shape } from './webgl/program.ts';

export type { Program, Shape } from './webgl/program.ts';

export const tileTexture = (tile: Tensor2D): Shape => tile.shape;

const names = (tiles: readonly Shape[]): string[] => tiles.map((_, i) => `W${i}`);

export const programs = {
  dense([rows]: Shape, tiles: readonly Shape[], hasBias: boolean, activation: Activation): Program {
    const shape: Shape = [rows, tiles[0][1]];
    let start = 0;
    const sums = tiles.map(([tileRows], i) => {
      const code = `for (int i = 0; i < ${halfOf(tileRows)}; i++) {
          vec4 a = texelX(own.x, i + ${start / 2});
          vec4 b = texelW${i}(i, own.y);
          result += a.xxzz * b.xyxy;
          result += a.yyww * b.zwzw;
        }`;
      start += tileRows;
      return code;
    });
    const body = `${sums.join('\n')}
        ${hasBias ? 'result += texelB(0, own.y).xyxy;' : ''}
        ${ACTIVATIONS[activation]}
        ${clearPadding(shape)}`;
    return packed(['X', ...(hasBias ? ['B'] : []), ...names(tiles)], shape, body);
  },

  inputGradient([rows, units]: Shape, tiles: readonly Shape[]): Program {
    let end = 0;
    const branches = tiles.map(([tileRows], i) => {
      const start = end;
      end += tileRows;
      return `if (own.y < ${halfOf(end)}) {
          int row = own.y - ${start / 2};
          for (int i = 0; i < ${halfOf(units)}; i++) {
            vec4 a = texelD(own.x, i);
            vec4 b = texelW${i}(row, i);
            result += a.xxzz * b.xzxz;
            result += a.yyww * b.ywyw;
          }
        }`;
    });
    return packed(['D', ...names(tiles)], [rows, end], branches.join(' else '));
  },

  /** `rows`: of each pair of factors. */
  kernelGradient(shape: Shape, rows: readonly number[], hasSum: boolean): Program {
    const sums = rows.map(
      (count, i) => `for (int i = 0; i < ${halfOf(count)}; i++) {
          vec4 a = texelX${i}(i, from);
          vec4 b = texelD${i}(i, own.y);
          result += a.xxyy * b.xyxy;
          result += a.zzww * b.zwzw;
        }`,
    );
    const body = `int from = own.x + start;
        ${sums.join('\n        ')}
        ${hasSum ? 'result += texelS(own.x, own.y);' : ''}`;
    const names = rows.flatMap((_, i) => [`X${i}`, `D${i}`]);
    return packed([...names, ...(hasSum ? ['S'] : [])], shape, body, [{ name: 'start', type: 'int' }]);
  },

  /** `rows`: of each matrix. */
  columnSums(columns: number, rows: readonly number[], hasSum: boolean): Program {
    const sums = rows.map(
      (count, i) => `for (int i = 0; i < ${halfOf(count)}; i++) {
          vec4 a = texelX${i}(i, own.y);
          result.xy += a.xy + a.zw;
        }`,
    );
    const body = `${sums.join('\n        ')}
        ${hasSum ? 'result += texelS(0, own.y);' : ''}`;
    return packed([...rows.map((_, i) => `X${i}`), ...(hasSum ? ['S'] : [])], [1, columns], body);
  },

  softmaxRows([rows, classes]: Shape): Program {
    // Of a column pair past the edge only the first lane counts.
    const edge = classes % 2 ? `if (i == ${halfOf(classes) - 1}) a.yw = a.xz;` : '';
    const weight = classes % 2 ? `i == ${halfOf(classes) - 1} ? 0.0 : 1.0` : '1.0';
    const body = `vec4 first = texelZ(own.x, 0);
        vec2 highest = first.xz;
        vec2 best = vec2(0.0);
        for (int i = 0; i < ${halfOf(classes)}; i++) {
          vec4 a = texelZ(own.x, i);
          ${edge}
          if (a.x > highest.x) { highest.x = a.x; best.x = float(2 * i); }
          if (a.y > highest.x) { highest.x = a.y; best.x = float(2 * i + 1); }
          if (a.z > highest.y) { highest.y = a.z; best.y = float(2 * i); }
          if (a.w > highest.y) { highest.y = a.w; best.y = float(2 * i + 1); }
        }
        vec2 total = vec2(0.0);
        for (int i = 0; i < ${halfOf(classes)}; i++) {
          vec4 e = exp(texelZ(own.x, i) - highest.xxyy);
          total += e.xz + (${weight}) * e.yw;
        }
        vec2 truth = texelL(own.x, 0).xz;
        vec2 score = vec2(laneX(texelZ(own.x, int(truth.x) / 2), truth.x), laneZ(texelZ(own.x, int(truth.y) / 2), truth.y));
        result.xz = log(total) + highest - score;
        result.yw = vec2(equal(best, truth));
        ${clearPadding([rows, 2])}`;
    return packed(['Z', 'L'], [rows, 2], body, [], LANES);
  },

  softmaxGradient([rows, classes]: Shape): Program {
    const body = `vec2 truth = texelL(own.x, 0).xz;
        vec2 score = vec2(laneX(texelZ(own.x, int(truth.x) / 2), truth.x), laneZ(texelZ(own.x, int(truth.y) / 2), truth.y));
        vec2 logTotal = texelR(own.x, 0).xz + score;
        vec2 column = vec2(float(rc.y), float(rc.y + 1));
        result = exp(texelZ(own.x, own.y) - logTotal.xxyy);
        result.xy -= vec2(equal(column, truth.xx));
        result.zw -= vec2(equal(column, truth.yy));
        result *= ${(1 / rows).toExponential(9)};
        ${clearPadding([rows, classes])}`;
    return packed(['Z', 'L', 'R'], [rows, classes], body, [], LANES);
  },
};

/** The entry of the upper (X) or lower (Z) row of a texel that holds `column`. */
const LANES = `
      float laneX(vec4 a, float column) { return mod(column, 2.0) < 0.5 ? a.x : a.y; }
      float laneZ(vec4 a, float column) { return mod(column, 2.0) < 0.5 ? a.z : a.w; }`;
