/** Where a socket can be reached. */
export interface Endpoint {
  address: string;
  port: number;
}

const CANDIDATE = /^((?:a=)?candidate:\S+ \d+ )(\S+)( \d+ )(\S+) (\d+)( typ \S+)(.*)$/i;

/**
 * A candidate, or a session description with candidates in it, with other endpoints in place of the real ones. Candidates that are
 * not UDP are left out; of a lone one nothing remains.
 */
export async function withAliases(
  text: string,
  aliasOf: (real: Endpoint) => Promise<Endpoint>,
): Promise<string> {
  const lines = await Promise.all(
    text.split('\r\n').map(async (line) => {
      const match = CANDIDATE.exec(line);
      if (!match) return line;
      const [, head, protocol, priority, address, port, type] = match;
      if (protocol.toLowerCase() !== 'udp') return null;
      const alias = await aliasOf({ address, port: Number(port) });
      // Without the rest: it tells the real address of candidates that are not of a host.
      return `${head}${protocol}${priority}${alias.address} ${alias.port}${type}`;
    }),
  );
  return lines.filter((line) => line !== null).join('\r\n');
}

/** The name of what `withAliases` is called by in a page. */
export const RELAY_BINDING = 'edgepipeLabRelay';

/** What runs in the page sees this instead of `window`. */
declare const window: Record<typeof RELAY_BINDING, (text: string) => Promise<string>>;

/** How a connection hears of the other side. */
interface Hearing {
  addIceCandidate: (this: RTCPeerConnection, candidate?: RTCIceCandidateInit | null) => Promise<void>;
  setRemoteDescription: (this: RTCPeerConnection, description: RTCSessionDescriptionInit) => Promise<void>;
}

/** Runs in a page before its own code: whatever it hears of the other side's addresses leads to the relay. */
export function relayPage(): void {
  const connection: Hearing = RTCPeerConnection.prototype;
  const add = connection.addIceCandidate;
  const describe = connection.setRemoteDescription;
  connection.addIceCandidate = async function (given) {
    if (!given?.candidate) return add.call(this, given);
    const candidate = await window.edgepipeLabRelay(given.candidate);
    if (candidate === '') return;
    const { sdpMid, sdpMLineIndex, usernameFragment } = given;
    return add.call(this, { candidate, sdpMid, sdpMLineIndex, usernameFragment });
  };
  connection.setRemoteDescription = async function ({ type, sdp }) {
    return describe.call(this, { type, sdp: sdp && (await window.edgepipeLabRelay(sdp)) });
  };
}
