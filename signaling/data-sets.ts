import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { FashionFiles, mnistFile, openPlain, type DataFile } from './data-files.ts';
import { parseRange } from './ranges.ts';

/** What was sent of data sets. */
export interface DataServed {
  requests: number;
  bytes: number;
}

/** Path on the server -> file of a data set. Exact paths only, so no request can name any other file. */
const FILES = new Map<string, { task: 'mnist' | 'fashion'; name: string }>(
  (['mnist', 'fashion'] as const).flatMap((task) =>
    [
      ['train-images', 'train-images-idx3-ubyte'],
      ['train-labels', 'train-labels-idx1-ubyte'],
      ['test-images', 't10k-images-idx3-ubyte'],
      ['test-labels', 't10k-labels-idx1-ubyte'],
    ].map(([path, name]) => [`/data/${task}/${path}`, { task, name }] as const),
  ),
);

/** The data sets that a server offers. */
export class DataSets {
  readonly served: DataServed = { requests: 0, bytes: 0 };
  readonly #fashion: FashionFiles;

  /** @param fashionDir where Fashion-MNIST lies; by default where Debian's package puts it */
  constructor(fashionDir?: string) {
    this.#fashion = new FashionFiles(fashionDir);
  }

  /** True where the path is one of a data set's files. */
  has(path: string): boolean {
    return FILES.has(path);
  }

  /** Sends a data set's file, or the range that was asked for. */
  async send(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const file = await this.#open(path);
    const { size, tag } = file;
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
    this.served.requests += 1;
    const stream = file.read(start, end);
    stream.on('data', (bytes: Buffer) => (this.served.bytes += bytes.length));
    await pipeline(stream, response);
  }

  #open(path: string): Promise<DataFile> {
    const { task, name } = FILES.get(path)!;
    return task === 'mnist' ? openPlain(mnistFile(name)) : this.#fashion.open(`${name}.gz`);
  }
}
