import { RunConfigSchema, type RunConfig } from '../../shared/schema/config.ts';

/** Ways to train that a run may be asked for, the default first. */
export interface Way {
  schedule: string;
  wire: string;
}

const entries: Readonly<Record<string, unknown>> = RunConfigSchema.entries;

/** The choices of a field of the configuration; the one that there is where it has no such field. */
function choicesOf(field: keyof Way, only: string): readonly string[] {
  const schema = entries[field] as { options?: string[]; wrapped?: { options: string[] } } | undefined;
  return schema?.options ?? schema?.wrapped?.options ?? [only];
}

export const SCHEDULES = choicesOf('schedule', 'sync');
export const WIRES = choicesOf('wire', 'float32');

/** A configuration with the schedule and the wire format that are asked for. */
export function withWay(config: RunConfig, way: Partial<Way>): RunConfig {
  const known = Object.entries(way).filter(([field]) => field in entries);
  return { ...config, ...Object.fromEntries(known) };
}
