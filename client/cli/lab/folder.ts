import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { patiently } from './patiently.ts';

const NAME = /^edgepipe-lab-(\d+)$/;

/** A folder for all files that a lab and its browsers make, gone with them, at the end of the process at the latest. */
export class LabFolder {
  readonly path = join(tmpdir(), `edgepipe-lab-${process.pid}`);
  readonly #outer = process.env.TMPDIR;
  readonly #remove = () => removeFolder(this.path);

  constructor() {
    mkdirSync(this.path, { recursive: true });
    process.env.TMPDIR = this.path;
    process.once('exit', this.#remove);
  }

  close(): void {
    process.off('exit', this.#remove);
    if (this.#outer === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = this.#outer;
    this.#remove();
  }
}

/** Removes folders of labs whose process is gone. */
export function removeLeftFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = NAME.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) removeFolder(join(tmpdir(), name));
  }
}

/** A browser that is just ending may still write. */
const removeFolder = (path: string): void => patiently(() => rmSync(path, { recursive: true, force: true }));
