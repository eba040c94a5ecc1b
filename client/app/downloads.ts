import type { RunConfig } from '../../shared/schema/config.ts';
import type { ModelArtifacts } from '../engine/assemble.ts';
import { modelJson, WEIGHTS_FILE } from '../engine/model-json.ts';

/** The two files of a tfjs LayersModel. */
export function modelFiles(model: ModelArtifacts, config: RunConfig): { name: string; content: Blob }[] {
  return [
    { name: 'model.json', content: jsonBlob(modelJson(model, config)) },
    { name: WEIGHTS_FILE, content: new Blob([model.weightData], { type: 'application/octet-stream' }) },
  ];
}

export const jsonBlob = (value: unknown): Blob =>
  new Blob([`${JSON.stringify(value, null, 1)}\n`], { type: 'application/json' });

/** Hands a file to the person's downloads. */
export function download(name: string, content: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // Safari reads the blob only later.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
