import { readFile, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import loadWabt from 'wabt';

const SOURCE = new URL('../../client/engine/kernels/cpu/product.wat', import.meta.url);
const TARGET = new URL('../../client/engine/kernels/cpu/product-module.ts', import.meta.url);

/** The module of the CPU back-end's products, in base64. */
export async function assembled(): Promise<string> {
  const wabt = await loadWabt();
  const module = wabt.parseWat('product.wat', await readFile(SOURCE, 'utf8'));
  return Buffer.from(module.toBinary({}).buffer).toString('base64');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const text = `/** product.wat, as \`npm run assemble\` made it. */\nexport const PRODUCT_MODULE =\n  '${await assembled()}';\n`;
  await writeFile(TARGET, text);
}
