import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import sirv, { type RequestHandler } from 'sirv';
import { MissingDataSet } from './data-files.ts';
import type { DataSets } from './data-sets.ts';

const HEADERS: [name: string, value: string][] = [
  [
    'Content-Security-Policy',
    [
      "default-src 'self'",
      // WebAssembly: the CPU back-end's products.
      "script-src 'self' 'wasm-unsafe-eval'",
      "worker-src 'self' blob:",
      "connect-src 'self' ws: wss:",
      "img-src 'self' data:",
      "style-src 'self' 'unsafe-inline'",
      "object-src 'none'",
      "base-uri 'none'",
      "form-action 'self'",
      "frame-ancestors 'self'",
    ].join('; '),
  ],
  ['X-Content-Type-Options', 'nosniff'],
  ['Referrer-Policy', 'no-referrer'],
];

export interface HttpOptions {
  /** Where the built page lies. */
  pageDir: string;
  data: DataSets;
  /** Answers in JSON, by path. */
  api: Record<string, () => unknown>;
}

/** Serves the page, the data sets and the few JSON answers. */
export function createHttpHandler({ pageDir, data, api }: HttpOptions): RequestListener {
  // `dev` looks at the disk each time: a rebuild while the server runs is never served with the old lengths.
  const page = sirv(pageDir, { dev: true, etag: true });
  return (request, response) => {
    for (const [name, value] of HEADERS) response.setHeader(name, value);
    const path = (request.url ?? '/').split(/[?#]/, 1)[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      sendText(response, 405, 'Only GET and HEAD are understood here.');
    } else if (Object.hasOwn(api, path)) {
      sendJson(response, api[path]());
    } else if (data.has(path)) {
      void data.send(request, response, path).catch((error: unknown) => fail(response, error));
    } else if (path.startsWith('/data/')) {
      sendText(response, 404, 'The server has no data set of that name.');
    } else {
      sendPage(page, request, response, path);
    }
  };
}

function sendPage(
  page: RequestHandler,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): void {
  const isPage = path === '/' || /^\/r\/[^/]+\/?$/.test(path);
  if (isPage) request.url = '/index.html';
  // sirv passes ranges on unchecked, and one that runs backwards would end the process.
  delete request.headers.range;
  try {
    page(request, response, () => {
      if (isPage) sendText(response, 503, 'The page is not built yet. On the server, run: npm run build');
      else sendText(response, 404, 'Nothing is here. Start from the link of your room.');
    });
  } catch (error) {
    fail(response, error);
  }
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  for (const name of ['Content-Length', 'Content-Range', 'Cache-Control', 'ETag'])
    response.removeHeader(name);
  if (error instanceof MissingDataSet) {
    sendText(response, 404, error.message);
    return;
  }
  sendText(
    response,
    500,
    `The server could not answer: ${error instanceof Error ? error.message : 'unknown cause'}`,
  );
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' });
  response.end(`${text}\n`);
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' });
  response.end(JSON.stringify(value));
}
