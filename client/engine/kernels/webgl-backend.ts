import { engine, type DataType, type TensorInfo } from '@tensorflow/tfjs-core';
import type { GPGPUProgram } from '@tensorflow/tfjs-backend-webgl';

/** The packing is an enumeration that tfjs does not export. */
export type WebglProgram = Omit<GPGPUProgram, 'outPackingScheme'> & { outPackingScheme?: number };

/** The part of tfjs's WebGL backend that EdgePipe uses beyond tfjs's own operations. */
export interface WebglBackend {
  gpgpu: {
    gl: WebGL2RenderingContext;
    /** What every program is drawn as: the corners of two triangles, and which make up each. */
    vertexBuffer: WebGLBuffer;
    indexBuffer: WebGLBuffer;
    /** Does `read` while a texture can be read from. */
    downloadMatrixDriver<T>(texture: WebGLTexture, read: () => T): T;
  };
  texData: {
    get(id: object): {
      shape: number[];
      /** Two by two numbers a texel. */
      isPacked?: boolean;
      texture?: { texture: WebGLTexture };
      /** Of a packed texture: twice its height and width in texels. */
      texShape: [number, number] | null;
      usage?: number;
      /** Of a tensor that is part of another's texture. */
      slice?: object | null;
    };
  };
  uploadToGPU(id: object): void;
  /** A tensor without numbers yet. */
  makeTensorInfo(shape: number[], dtype: DataType): TensorInfo;
  /** A texture of twice that height and width in texels, one used before where there is one. */
  acquireTexture(
    texShape: [number, number],
    usage: number,
    dtype: DataType,
    isPacked: boolean,
  ): { texture: WebGLTexture };
  /** A copy of an unpacked texture. */
  packTensor(tensor: TensorInfo): TensorInfo;
  disposeIntermediateTensorInfo(tensor: TensorInfo): void;
  runWebGLProgram(
    program: WebglProgram,
    inputs: TensorInfo[],
    outputDtype: DataType,
    customUniformValues: number[][],
    /** True keeps the output packed whatever tfjs's flags say. */
    preventEagerUnpackingOfOutput: boolean,
    /** Height and width in texels, for a program whose `outPackingScheme` is 0. */
    texelShape?: readonly [number, number],
  ): TensorInfo;
}

/** The current backend, which must be WebGL. */
export const webglBackend = (): WebglBackend => engine().backend as unknown as WebglBackend;
