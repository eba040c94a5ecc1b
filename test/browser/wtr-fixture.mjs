import { Buffer } from 'node:buffer';
import { setTimeout } from 'node:timers/promises';

/** `/range-fixture/...`: 1000 bytes that answer range requests as a server should, or as one should not. */
const bytes = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251));

export async function rangeFixture(context, next) {
  if (!context.path.startsWith('/range-fixture/')) return next();
  const file = context.path.slice('/range-fixture/'.length);
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(context.get('range')) ?? [];
  context.set('content-type', 'application/octet-stream');
  if (file === 'good') {
    context.status = 206;
    context.body = bytes.subarray(Number(start), Number(end) + 1);
  } else if (file === 'whole') {
    context.body = bytes;
  } else if (file === 'short') {
    context.status = 206;
    context.body = bytes.subarray(0, 5);
  } else if (file === 'slow') {
    await setTimeout(3000);
    context.status = 206;
    context.body = bytes.subarray(0, 5);
  } else {
    context.status = 404;
  }
}
