import type { ModelArtifacts } from '../engine/assemble.ts';

/** The two files of a tfjs LayersModel: `tf.loadLayersModel` takes the first and finds the second beside it. */
export function modelFiles({
  modelTopology,
  weightSpecs,
  weightData,
}: ModelArtifacts): { name: string; content: Blob }[] {
  const manifest = {
    format: 'layers-model',
    generatedBy: 'EdgePipe',
    convertedBy: null,
    modelTopology,
    weightsManifest: [{ paths: ['weights.bin'], weights: weightSpecs }],
  };
  return [
    { name: 'model.json', content: jsonBlob(manifest) },
    { name: 'weights.bin', content: new Blob([weightData], { type: 'application/octet-stream' }) },
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
