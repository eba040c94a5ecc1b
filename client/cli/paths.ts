import { accessSync, constants, statSync, type Stats } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { FlagError } from '../../shared/flags.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { FASHION_PACKAGE, hasFashion } from '../../signaling/data-files.ts';
import { BrowserError, findChromium } from './chromium.ts';

/** Before a run that may take an hour: can the file that a flag names be written? Throws a FlagError. */
export function checkOutputFile(flag: string, file: string): void {
  const path = resolve(file);
  const target = statOf(path);
  if (target?.isDirectory()) {
    throw new FlagError(`--${flag} ${file} is a directory: name a file in it, such as ${file}/${flag}.json.`);
  }
  if (target) {
    if (!isWritable(path)) throw new FlagError(`--${flag} ${file} may not be written: choose another file.`);
    return;
  }
  const dir = dirname(path);
  if (!statOf(dir)?.isDirectory()) {
    throw new FlagError(
      `--${flag} ${file}: there is no directory ${dir}. Create it first, or choose another.`,
    );
  }
  if (!isWritable(dir)) {
    throw new FlagError(`--${flag} ${file}: nothing may be written into ${dir}. Choose another directory.`);
  }
}

/** Can the model be saved there? The directory may be new. Throws a FlagError. */
export function checkSaveDir(dir: string): void {
  const path = resolve(dir);
  const target = statOf(path);
  if (target && !target.isDirectory()) {
    throw new FlagError(`--save ${dir} is a file: name a directory, which may be new.`);
  }
  let nearest = path;
  while (!statOf(nearest)) nearest = dirname(nearest);
  if (!statOf(nearest)!.isDirectory()) {
    throw new FlagError(`--save ${dir}: ${nearest} is a file, so no directory can be made in it.`);
  }
  if (!isWritable(nearest)) {
    throw new FlagError(`--save ${dir}: nothing may be written into ${nearest}. Choose another directory.`);
  }
}

/** Is that a browser that can be started? Throws a FlagError. */
export function checkBrowser(path: string): void {
  try {
    findChromium(path);
  } catch (error) {
    if (error instanceof BrowserError) throw new FlagError(error.message);
    throw error;
  }
}

/** Is the data set on this machine? Throws a FlagError. */
export function checkDataSet(task: RunConfig['task'], fashionDir?: string): void {
  if (task !== 'fashion' || hasFashion(fashionDir)) return;
  throw new FlagError(
    `--task fashion needs Debian's package ${FASHION_PACKAGE}: apt-get install ${FASHION_PACKAGE}.`,
  );
}

function statOf(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
