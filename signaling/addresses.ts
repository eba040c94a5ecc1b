import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

type Interfaces = ReturnType<typeof networkInterfaces>;

/** Interfaces of containers, virtual machines and tunnels: phones in the room seldom reach them. */
const VIRTUAL =
  /^(docker|br-|veth|virbr|vmnet|vboxnet|utun|tun|tap|wg|zt|tailscale|lxc|cni|podman|ppp|awdl|llw|bridge)|vEthernet|VirtualBox|VMware|WSL/i;

/** Addresses under which others on the network may reach this machine, the likeliest first. */
export function lanAddresses(interfaces: Interfaces = networkInterfaces()): string[] {
  const found: { address: string; rank: number }[] = [];
  for (const [name, entries] of Object.entries(interfaces)) {
    for (const { address, family, internal } of entries ?? []) {
      // A link-local IPv6 address needs a zone, which no browser takes.
      if (internal || /^fe[89ab]/i.test(address)) continue;
      found.push({ address, rank: rankAddress(address, family) + (VIRTUAL.test(name) ? 10 : 0) });
    }
  }
  return found.sort((a, b) => a.rank - b.rank).map(({ address }) => address);
}

/** The addresses that work from other devices when the server listens on `host`. */
export function reachableAddresses(host: string, interfaces?: Interfaces): string[] {
  if (host === '::') return lanAddresses(interfaces);
  if (host === '0.0.0.0') return lanAddresses(interfaces).filter((address) => isIP(address) === 4);
  return isLoopback(host) ? [] : [host];
}

/** The address under which this machine itself reaches a server that listens on `host`. */
export function localAddress(host: string): string {
  return host === '0.0.0.0' || host === '::' || isLoopback(host) ? 'localhost' : host;
}

/** `http://host:port`, with the brackets that IPv6 needs. */
export function originOf(scheme: 'http' | 'https', host: string, port: number): string {
  return `${scheme}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function rankAddress(address: string, family: string): number {
  if (family !== 'IPv4') return 5;
  if (address.startsWith('192.168.')) return 0;
  if (address.startsWith('10.')) return 1;
  if (/^172\.(1[6-9]|2\d|3[01])\./.test(address)) return 2;
  return address.startsWith('169.254.') ? 4 : 3;
}
