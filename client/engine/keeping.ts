import type { HeldOp } from './held-op.ts';

/** What a forward leaves of registers for the backward. */
export interface Keeping {
  /** Registers that some backward reads. */
  kept: ReadonlySet<number>;
  /** Per segment and op: the registers that no backward after its own reads. */
  frees: readonly (readonly (readonly number[])[])[];
}

/** `ops` per segment. `measuring`: importance is measured, too, from what measured ops have made. */
export function keepingOf(ops: readonly (readonly HeldOp[])[], measuring: boolean): Keeping {
  const kept = new Set<number>();
  // The backward goes from the end: the first op that reads a register is the last that needs it.
  const frees = ops.map((held) =>
    held.map(({ running, inputs, output, measures }) => {
      const read = new Set([
        ...(running.keeps.input ? inputs : []),
        ...(running.keeps.output || (measuring && measures) ? [output] : []),
      ]);
      const first = [...read].filter((register) => !kept.has(register));
      for (const register of first) kept.add(register);
      return first;
    }),
  );
  return { kept, frees };
}
