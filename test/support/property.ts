import { relative as relativePath } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';

export interface PropertyOptions {
  /** `import.meta.url` of the test's file. */
  file: string;
  /** The test's name, as node:test filters by it. */
  test: string;
  seed: number;
  runs: number;
}

const { FAST_CHECK_SEED, FAST_CHECK_PATH } = process.env;

/** True where one case is looked at again: then there is nothing to say about all of them. */
export const isReplay = FAST_CHECK_PATH !== undefined;

/**
 * Checks a property as fast-check does. A failure says how to see just that case again: FAST_CHECK_SEED and FAST_CHECK_PATH take the
 * place of the seed that the test has, and of its start.
 */
export async function assertProperty<T>(
  { file, test, seed, runs }: PropertyOptions,
  arbitrary: fc.Arbitrary<T>,
  predicate: (value: T) => Promise<void> | void,
): Promise<void> {
  const property = fc.asyncProperty(arbitrary, async (value) => {
    await predicate(value);
  });
  const found = await fc.check(property, {
    seed: FAST_CHECK_SEED ? Number(FAST_CHECK_SEED) : seed,
    numRuns: runs,
    ...(FAST_CHECK_PATH && { path: FAST_CHECK_PATH, endOnFailure: true }),
  });
  if (!found.failed) return;
  const error = found.errorInstance;
  const command =
    `FAST_CHECK_SEED=${found.seed} FAST_CHECK_PATH=${found.counterexamplePath} ` +
    `node --import tsx --test --test-name-pattern='${test}' ${relativePath('.', fileURLToPath(file))}`;
  throw new Error(
    `${error instanceof Error ? error.message : String(error)}\n` +
      `seed ${found.seed}, path "${found.counterexamplePath}", after ${found.numRuns} cases and ${found.numShrinks} smaller ones\n` +
      `replay: ${command}\n` +
      `case: ${JSON.stringify(found.counterexample?.[0])}`,
    { cause: error },
  );
}
