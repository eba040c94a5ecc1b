import { writeFileSync } from 'node:fs';

/** How the browser of one peer is started. */
export interface Start {
  chromium: string;
  /** The namespace that it runs in; null: that of this process. */
  host: string | null;
  /** What its process number is written into, to be slowed. */
  group: string | null;
}

/** Chromium would hide the addresses of its sockets behind names that only it can resolve, and the relay has to know them. */
const HIDING = 'WebRtcHideLocalIpsWithMdns';

/** A program in the place of Chromium, since whoever drives a browser starts it by one path. */
export function starterText({ chromium, host, group }: Start): string {
  return `#!/bin/sh
${group === null ? '' : `echo $$ > ${quoted(group)} || exit 1\n`}\
for arg; do
  shift
  # The last switch of a kind is the only one that counts.
  case $arg in --disable-features=*) arg=$arg,${HIDING};; esac
  set -- "$@" "$arg"
done
exec ${host === null ? '' : `ip netns exec ${quoted(host)} `}${quoted(chromium)} "$@"
`;
}

export function writeStarter(file: string, start: Start): void {
  writeFileSync(file, starterText(start), { mode: 0o755 });
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
