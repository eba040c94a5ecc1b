export const CLOSED = 'the other side closed the link';

export const timeoutReason = (waitMs: number): string =>
  `no connection within ${Math.round(waitMs / 1000)} s: check that both devices are on the same network and that it lets ` +
  `its devices reach each other`;

/** Why a connection could not even be started. */
export function startReason(error: unknown): string {
  return typeof RTCPeerConnection === 'undefined'
    ? 'this browser has no WebRTC: use a current Chrome, Edge, Firefox or Safari'
    : `the browser could not start a connection (${String(error)}): reload the page`;
}

/** What simple-peer or the browser reported, for people. */
export function failReason(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  if (code === 'ERR_ICE_CONNECTION_FAILURE' || code === 'ERR_CONNECTION_FAILURE') {
    return 'the network between the two devices is gone or blocks direct connections: check that both are on the same one';
  }
  if (code === 'ERR_DATA_CHANNEL') return CLOSED;
  return error instanceof Error ? error.message : String(error);
}
