/** Arrays of one length; a program writes its result into the first. */
export type Arrays = readonly Float32Array[];

/**
 * One element-wise formula in both worlds. `inputs[0]` is the target: on WebGL a new texture takes its place, on the
 * CPU it is overwritten. The formula must map zeros to zero: the padding of packed textures stays zero that way.
 */
export interface ElementwiseProgram {
  /** Names of the vec4 variables that `glsl` reads. */
  inputs: readonly string[];
  /** Names of the float variables that `glsl` reads. */
  uniforms: readonly string[];
  /** An expression of type vec4. */
  glsl: string;
  cpu: (arrays: Arrays, uniforms: readonly number[]) => void;
}
