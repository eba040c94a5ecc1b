import type { WebglBackend } from '../webgl-backend.ts';

/** Of each corner: x, y and z in clip space, where what is drawn to reaches from -1 to 1, and its place in the texture, from 0 to 1. */
const CORNERS = new Float32Array([...[-1, 3, 0, 0, 2], ...[-1, -1, 0, 0, 0], ...[3, -1, 0, 2, 0]]);
/** tfjs draws two triangles; the second has no area here. */
const DRAWN = new Uint16Array([0, 1, 2, 2, 2, 2]);

/**
 * Has tfjs draw every program as one triangle that reaches beyond the texture, in place of two that meet in its diagonal. Devices compute
 * two by two texels at a time, and those that the diagonal crosses twice: of 64 lines of 512 texels that is one in 28.
 */
export function drawAsOneTriangle({ gpgpu }: WebglBackend): void {
  const { gl, vertexBuffer, indexBuffer } = gpgpu;
  // Which indices are drawn belongs to the array of vertices that is bound.
  const bound = gl.getParameter(gl.VERTEX_ARRAY_BINDING) as WebGLVertexArrayObject | null;
  gl.bindVertexArray(null);
  gl.bindBuffer(gl.ARRAY_BUFFER, vertexBuffer);
  gl.bufferData(gl.ARRAY_BUFFER, CORNERS, gl.STATIC_DRAW);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, indexBuffer);
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, DRAWN, gl.STATIC_DRAW);
  gl.bindVertexArray(bound);
}
