import type { RunConfig } from '../../shared/schema/config.ts';

const REASON_CHARS = 200;

/** Why the server cannot give this task's data; null where it can, or cannot be asked (peers may have the data). */
export async function missingData(
  task: RunConfig['task'],
  ask: typeof fetch = fetch,
): Promise<string | null> {
  // MNIST comes with the server.
  if (task === 'mnist') return null;
  try {
    const answer = await ask(`/data/${task}/test-labels`, { headers: { Range: 'bytes=0-7' } });
    if (answer.status !== 404) return null;
    return (
      (await answer.text()).trim().slice(0, REASON_CHARS) || `The server has no data for the task ${task}.`
    );
  } catch {
    return null;
  }
}
