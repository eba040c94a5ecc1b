import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { context, type BuildOptions, type OutputFile, type Plugin } from 'esbuild';

export interface PageBuildOptions {
  minify?: boolean;
  /** Build again at every change, until `stop()`. */
  watch?: boolean;
  /** The project; by default this one. */
  root?: string;
  /** By default `dist/` in the project. */
  outdir?: string;
}

export interface PageBuild {
  outdir: string;
  milliseconds: number;
  /** Ends watching; without `watch` there is nothing to end. */
  stop(): Promise<void>;
}

/** The page could not be built; the message says why. */
export class BuildError extends Error {}

const ENTRIES = { main: 'client/app/main.ts', worker: 'client/engine/worker.ts' };
const PAGE = 'client/app/index.html';
/** Files that are served as they are: icons and the like. */
const STATIC = 'client/app/public';

/** Bundles the page and the worker that computes into `dist/`. */
export async function build(options: PageBuildOptions = {}): Promise<PageBuild> {
  const startedAt = performance.now();
  const root = resolve(options.root ?? fileURLToPath(new URL('..', import.meta.url)));
  const outdir = resolve(options.outdir ?? join(root, 'dist'));
  const missing = [...Object.values(ENTRIES), PAGE].filter((file) => !existsSync(join(root, file)));
  if (missing.length > 0) {
    throw new BuildError(`The page cannot be built, because files are missing: ${missing.join(', ')}.`);
  }
  const bundler = await context({
    ...bundling(root, outdir, options),
    plugins: [bundledSimplePeer, publish(root, outdir)],
  });
  try {
    await bundler.rebuild();
    if (options.watch) await bundler.watch();
  } catch (error) {
    await bundler.dispose();
    const reason = error instanceof Error ? error.message : String(error);
    throw new BuildError(`The page could not be built. ${reason}`, { cause: error });
  }
  if (!options.watch) await bundler.dispose();
  return { outdir, milliseconds: Math.round(performance.now() - startedAt), stop: () => bundler.dispose() };
}

function bundling(
  root: string,
  outdir: string,
  { minify = false, watch = false }: PageBuildOptions,
): BuildOptions {
  return {
    absWorkingDir: root,
    entryPoints: ENTRIES,
    outdir,
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    conditions: ['browser'],
    splitting: true,
    // Beside the entries, so that `new URL('./worker.js', import.meta.url)` means the same in every chunk.
    chunkNames: 'chunk-[hash]',
    sourcemap: 'linked',
    minify,
    define: { global: 'globalThis', 'process.env.NODE_ENV': '"production"' },
    loader: { '.css': 'text', '.svg': 'text' },
    // Only watching goes on after a failure, and must report it; otherwise the error itself says what it is.
    logLevel: watch ? 'warning' : 'silent',
  };
}

/**
 * simple-peer's own entry wants node's streams; its bundled file does not. (esbuild's `alias` would also rewrite an
 * import of that very file.)
 */
export const bundledSimplePeer: Plugin = {
  name: 'bundled-simple-peer',
  setup: (bundler) => {
    bundler.onResolve({ filter: /^simple-peer$/ }, ({ resolveDir, kind }) =>
      bundler.resolve('simple-peer/simplepeer.min.js', { resolveDir, kind }),
    );
  },
};

/** Writes what was bundled, then removes what an earlier build left: a server that runs meanwhile misses nothing. */
function publish(root: string, outdir: string): Plugin {
  return {
    name: 'publish',
    setup: (bundler) => {
      bundler.onEnd(async ({ outputFiles, errors }) => {
        if (errors.length > 0 || !outputFiles) return;
        await mkdir(outdir, { recursive: true });
        await Promise.all(outputFiles.map(replaceFile));
        await cp(join(root, PAGE), join(outdir, 'index.html'));
        if (existsSync(join(root, STATIC))) await cp(join(root, STATIC), outdir, { recursive: true });
        const current = new Set(outputFiles.map(({ path }) => basename(path)));
        const stale = (await readdir(outdir)).filter((name) => /^chunk-/.test(name) && !current.has(name));
        await Promise.all(stale.map((name) => rm(join(outdir, name), { force: true })));
      });
    },
  };
}

/** In one step, so that nobody is served half a file. */
async function replaceFile({ path, contents }: OutputFile): Promise<void> {
  const draft = `${path}.${process.pid}.draft`;
  await writeFile(draft, contents);
  await rename(draft, path);
}

const script = process.argv.at(1);
const isScript = script !== undefined && import.meta.url === pathToFileURL(resolve(script)).href;
if (isScript) {
  try {
    const { outdir, milliseconds } = await build({
      minify: !process.argv.includes('--watch'),
      watch: process.argv.includes('--watch'),
    });
    console.log(`Built ${outdir} in ${milliseconds} ms.`);
  } catch (error) {
    console.error(error instanceof BuildError ? error.message : error);
    process.exitCode = 1;
  }
}
