import { decode, encode } from '@msgpack/msgpack';
import * as v from 'valibot';
import { LIMITS } from '../../../shared/limits.ts';
import { complaint } from '../../../shared/schema/common.ts';
import { ControlSchema, type Control } from '../../../shared/schema/control.ts';

/** Bytes of a control message (MessagePack). Throws where it would pass the limit: the sender's defect. */
export function encodeControl(message: Control): Uint8Array {
  const bytes = encode(message, { ignoreUndefined: true });
  if (bytes.length > LIMITS.link.controlMessageBytes) {
    throw new Error(`A ${message.type} message of ${bytes.length} bytes passes the limit.`);
  }
  return bytes;
}

export type Decoded = { message: Control } | { reason: string; detail: string };

const DECODE_LIMITS = {
  maxStrLength: 64 * 1024,
  maxBinLength: 0,
  maxArrayLength: 4096,
  maxMapLength: 1024,
  maxExtLength: 0,
};

/** A checked message, or why it is refused. Never throws. */
export function decodeControl(bytes: Uint8Array): Decoded {
  if (bytes.length > LIMITS.link.controlMessageBytes) {
    return { reason: 'control-oversized', detail: `${bytes.length} bytes` };
  }
  let value: unknown;
  try {
    value = decode(bytes, DECODE_LIMITS);
  } catch (error) {
    return { reason: 'control-undecodable', detail: error instanceof Error ? error.message : String(error) };
  }
  const checked = v.safeParse(ControlSchema, value, { abortEarly: true });
  if (!checked.success) return { reason: 'control-schema', detail: complaint(checked.issues) };
  return { message: checked.output };
}
