import { existsSync } from 'node:fs';
import { fileURLToPath, URL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../../', import.meta.url));
const worker = 'client/engine/worker.ts';

/** Test files and the compute worker, bundled as the page is: the runner cannot load their dependencies one by one. */
export function bundles() {
  return {
    name: 'edgepipe-bundles',
    resolveMimeType({ path }) {
      return path.endsWith('.browser.ts') || path === '/worker.js' ? 'js' : undefined;
    },
    async serve({ path }) {
      if (path === '/worker.js') {
        if (!existsSync(root + worker)) return undefined;
        return { body: await bundle(worker, 'iife'), type: 'js' };
      }
      if (!path.endsWith('.browser.ts')) return undefined;
      return { body: await bundle(decodeURIComponent(path).slice(1), 'esm'), type: 'js' };
    },
  };
}

async function bundle(entry, format) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    format,
    platform: 'browser',
    target: 'es2022',
    sourcemap: 'inline',
    loader: { '.css': 'text' },
    tsconfig: 'tsconfig.json',
    alias: { 'simple-peer': 'simple-peer/simplepeer.min.js' },
    logLevel: 'error',
  });
  return outputFiles[0].text;
}
