/** A program's inputs, by their names. Those that are not named below have the shape of its result. */
export interface ProgramInputs {
  /** Names of the variables that `glsl` reads. */
  inputs: readonly string[];
  /** Those of them that are [1, columns]: one number for each column. */
  columns?: readonly string[];
  /** Those of them that are [rows, 1]: one number for each row. */
  rows?: readonly string[];
  /** Names of the float variables that `glsl` reads. */
  uniforms: readonly string[];
  /** An expression of type vec4. */
  glsl: string;
}

/** Arrays in the order of a program's inputs. */
export type Arrays = readonly Float32Array[];

/**
 * One element-wise formula in both worlds. `inputs[0]` is the target: on WebGL a new texture takes its place, on the
 * CPU it is overwritten.
 */
export interface ElementwiseProgram extends ProgramInputs {
  cpu: (arrays: Arrays, uniforms: readonly number[], columns: number) => void;
}

/** A formula whose values are summed along rows or columns. */
export interface Summand extends ProgramInputs {
  /** Its value at `index`, which lies in `row` and `column`. */
  cpu: (arrays: Arrays, index: number, column: number, row: number, uniforms: readonly number[]) => number;
}
