import { LIMITS } from '../../shared/limits.ts';
import type { Clock } from '../ports/clock.ts';
import type { Origin } from '../ports/storage.ts';

const FILE_PATTERN = /^[a-z0-9][a-z0-9_-]*(\/[a-z0-9][a-z0-9_.-]*)*$/i;

const REASON_CHARS = 200;

export interface HttpOriginOptions {
  clock: Clock;
  /** Where the server keeps data sets; ends in a slash. */
  base?: string;
  fetch?: typeof globalThis.fetch;
  timeoutMs?: number;
}

/** Reads parts of data set files from the server by HTTP range requests. */
export class HttpOrigin implements Origin {
  readonly #clock: Clock;
  readonly #base: string;
  readonly #fetch: typeof globalThis.fetch;
  readonly #timeoutMs: number;

  constructor(options: HttpOriginOptions) {
    this.#clock = options.clock;
    this.#base = options.base ?? '/data/';
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.#timeoutMs = options.timeoutMs ?? LIMITS.data.fetchTimeoutMs;
  }

  async read(file: string, start: number, end: number): Promise<Uint8Array> {
    if (!FILE_PATTERN.test(file)) throw new Error(`"${file}" is no name of a data set file.`);
    const size = end - start;
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || size <= 0) {
      throw new Error(
        `Bytes ${start} to ${end} of ${file} are no range: it must start at 0 or later and not be empty.`,
      );
    }
    if (size > LIMITS.data.chunkBytes) {
      throw new Error(
        `${size} bytes of ${file} are too many for one request (${LIMITS.data.chunkBytes}): ask for less.`,
      );
    }
    const abort = new AbortController();
    const cancel = this.#clock.after(this.#timeoutMs, () => abort.abort());
    try {
      return await this.#request(file, start, end, abort.signal);
    } catch (error) {
      if (error instanceof RangeAnswerError) throw error;
      if (abort.signal.aborted) {
        const seconds = Math.round(this.#timeoutMs / 1000);
        throw new Error(
          `Reading ${file} took longer than ${seconds} s: the network is too slow, or the server is busy. Try again.`,
          { cause: error },
        );
      }
      throw new Error(
        `The server could not be reached to read ${file}. Check that it is running and try again.`,
        {
          cause: error,
        },
      );
    } finally {
      cancel();
      abort.abort();
    }
  }

  async #request(file: string, start: number, end: number, signal: AbortSignal): Promise<Uint8Array> {
    const answer = await this.#fetch(this.#base + file, {
      headers: { Range: `bytes=${start}-${end - 1}` },
      // Chunks have a storage of their own, and Chromium's cache once gave 3,952 bytes of a range of 784,000 as if that were all.
      cache: 'no-store',
      signal,
    });
    if (answer.status === 404) throw new RangeAnswerError(await missing(file, answer));
    if (answer.status === 416) {
      throw new RangeAnswerError(
        `${file} on the server is shorter than ${end} bytes: the file is incomplete. Fetch it again.`,
      );
    }
    if (answer.status !== 206) {
      throw new RangeAnswerError(
        `The server answered ${answer.status} instead of a part of ${file}. Serve data with EdgePipe's own server, or one that knows range requests.`,
      );
    }
    const announced = answer.headers.get('content-length');
    if (announced !== null && Number(announced) > end - start)
      throw wrongLength(file, announced, end - start);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (bytes.length !== end - start) throw wrongLength(file, bytes.length, end - start);
    return bytes;
  }
}

/** The server answered, but not with what was asked for. */
class RangeAnswerError extends Error {}

/** Why the file is not there: EdgePipe's own server says it in a sentence. */
async function missing(file: string, answer: Response): Promise<string> {
  const isText = answer.headers.get('content-type')?.startsWith('text/plain') ?? false;
  const said = isText ? (await answer.text()).trim().slice(0, REASON_CHARS) : '';
  // Other servers only repeat what the status says.
  return /^(not found)?$/i.test(said)
    ? `The server has no data set file ${file}. Check the name, or where the server keeps its data.`
    : said;
}

function wrongLength(file: string, got: number | string, wanted: number): RangeAnswerError {
  return new RangeAnswerError(
    `The server sent ${got} bytes of ${file} where ${wanted} were asked for: the file is incomplete or something between changed it. Fetch it again.`,
  );
}
