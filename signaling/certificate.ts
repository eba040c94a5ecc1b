import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';

export interface Certificate {
  /** PEM. */
  key: string;
  /** PEM. */
  cert: string;
}

export interface CertificateOptions {
  /** Addresses and names besides localhost that it is for. */
  names: string[];
  /** Where it is kept, so that the exception that a phone made survives a restart; `null` keeps it in memory. */
  cacheDir?: string | null;
  now?: Date;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** The longest that browsers accept. */
const VALID_DAYS = 397;
const FILE = 'certificate.json';

/** A self-signed certificate for localhost and `names`: the kept one while it fits, else a new one. */
export async function loadCertificate(options: CertificateOptions): Promise<Certificate> {
  const { names, cacheDir = defaultCacheDir(), now = new Date() } = options;
  const wanted = [...new Set(['localhost', '127.0.0.1', '::1', ...names])];
  const kept = cacheDir === null ? null : await readKept(cacheDir);
  if (kept && covers(kept, wanted, now)) return kept;
  const made = await make(wanted, now);
  if (cacheDir !== null) await keep(made, cacheDir);
  return made;
}

/** The directory for things that may be made again, as this operating system has it. */
export function defaultCacheDir(env: NodeJS.ProcessEnv = process.env, platform = process.platform): string {
  if (platform === 'win32')
    return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'EdgePipe');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'EdgePipe');
  return join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'edgepipe');
}

async function make(names: string[], now: Date): Promise<Certificate> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'EdgePipe' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    // A day back: the clocks of phones are not always right.
    notBeforeDate: new Date(now.getTime() - DAY_MS),
    notAfterDate: new Date(now.getTime() + (VALID_DAYS - 1) * DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: names.map((name) => (isIP(name) ? { type: 7, ip: name } : { type: 2, value: name })),
      },
    ],
  });
  return { key, cert };
}

function covers({ key, cert }: Certificate, names: string[], now: Date): boolean {
  try {
    const parsed = new X509Certificate(cert);
    const isValid =
      new Date(parsed.validFrom) <= now && new Date(parsed.validTo).getTime() > now.getTime() + DAY_MS;
    return (
      isValid &&
      parsed.checkPrivateKey(createPrivateKey(key)) &&
      names.every((name) => (isIP(name) ? parsed.checkIP(name) : parsed.checkHost(name)) !== undefined)
    );
  } catch {
    return false;
  }
}

async function readKept(cacheDir: string): Promise<Certificate | null> {
  try {
    const { key, cert } = JSON.parse(await readFile(join(cacheDir, FILE), 'utf8')) as Partial<Certificate>;
    return typeof key === 'string' && typeof cert === 'string' ? { key, cert } : null;
  } catch {
    return null;
  }
}

/** Where it cannot be kept, the next start makes a new one: phones ask again, and nothing else is lost. */
async function keep(certificate: Certificate, cacheDir: string): Promise<void> {
  try {
    await mkdir(cacheDir, { recursive: true, mode: 0o700 });
    await writeFile(join(cacheDir, FILE), JSON.stringify(certificate), { mode: 0o600 });
  } catch {
    return;
  }
}
