/** Where others reach this room's server. */
export interface Reach {
  origin: string;
  /** What a person should know about this link; empty where there is nothing. */
  note: string;
}

const LOCAL = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** Phones cannot reach `localhost`: there the server says under which address they reach it. */
export async function reachOf(
  location: Pick<Location, 'origin' | 'hostname'>,
  ask = askServer,
): Promise<Reach> {
  const { origin, hostname } = location;
  if (!LOCAL.test(hostname)) return { origin, note: '' };
  const [best] = await ask().catch(() => []);
  if (best) {
    return {
      origin: best,
      note: `Other devices cannot reach ${hostname}, so this link has this machine's address on its network.`,
    };
  }
  return {
    origin,
    note: `This machine is on no network that the server knows of: only its own browsers can open this link.`,
  };
}

async function askServer(): Promise<string[]> {
  const answer: unknown = await (await fetch('/api/addresses')).json();
  const urls = typeof answer === 'object' && answer !== null && 'urls' in answer ? answer.urls : null;
  return Array.isArray(urls) ? urls.filter((url) => typeof url === 'string') : [];
}
