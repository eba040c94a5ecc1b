import { engine, type DataType, type TensorInfo } from '@tensorflow/tfjs-core';
import type { GPGPUProgram } from '@tensorflow/tfjs-backend-webgl';

/** The part of tfjs's WebGL backend that EdgePipe uses beyond tfjs's own operations. */
export interface WebglBackend {
  gpgpu: { gl: WebGL2RenderingContext };
  runWebGLProgram(
    program: GPGPUProgram,
    inputs: TensorInfo[],
    outputDtype: DataType,
    customUniformValues: number[][],
    /** True keeps the output packed whatever tfjs's flags say. */
    preventEagerUnpackingOfOutput: boolean,
  ): TensorInfo;
}

/** The current backend, which must be WebGL. */
export const webglBackend = (): WebglBackend => engine().backend as unknown as WebglBackend;
