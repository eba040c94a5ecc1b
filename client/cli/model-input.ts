import { readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, resolve, sep } from 'node:path';
import { LIMITS } from '../../shared/limits.ts';
import { importModel, weightFiles, type ImportedModel } from '../model/import-model.ts';

/** True where a person names a file, not one of the models that there are. */
export const isModelFile = (text: string): boolean => /\.json$|[/\\]/i.test(text);

/** A saved tf.LayersModel: `model.json`, with its weights beside it. Throws a message for people. */
export function readModelFile(file: string, task: { inputs: number; classes: number }): ImportedModel {
  const path = resolve(file);
  const json = parsed(file, readWhole(path, file));
  const files = new Map<string, Uint8Array>();
  for (const name of explained(file, () => weightFiles(json))) {
    const place = normalize(join(dirname(path), name));
    if (!place.startsWith(`${dirname(path)}${sep}`)) {
      throw new Error(`${file} names its weights ${name}, which is not beside it.`);
    }
    files.set(name, readWhole(place, name, file));
  }
  return explained(file, () => importModel(json, files, task));
}

/** A model has at most so many numbers, and its text is small beside them. */
const BYTES_MAX = 4 * LIMITS.run.parameters;

function readWhole(path: string, name: string, namedBy?: string): Buffer {
  const where = namedBy === undefined ? '' : ` (weights that ${namedBy} names)`;
  try {
    const { size } = statSync(path);
    if (size > BYTES_MAX) throw new Error(`it has ${size} bytes, and at most ${BYTES_MAX} are read`);
    return readFileSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const remedy =
      namedBy === undefined
        ? 'give the path of a model.json'
        : 'put it beside the file, or remove weightsManifest to start from the seed';
    if (code === 'ENOENT') throw new Error(`${name}${where} is not there: ${remedy}.`, { cause: error });
    if (code === 'EISDIR') {
      throw new Error(
        `${name}${where} is a directory: name the file in it, such as ${join(name, 'model.json')}.`,
        {
          cause: error,
        },
      );
    }
    throw new Error(`${name}${where} cannot be read: ${message.replace(/\.$/, '')}.`, { cause: error });
  }
}

function parsed(file: string, bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch (error) {
    throw new Error(`${file} is no JSON: a model.json that tfjs saved, or its converter wrote, is wanted.`, {
      cause: error,
    });
  }
}

function explained<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(`${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
