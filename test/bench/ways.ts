import { RunConfigSchema, type RunConfig } from '../../shared/schema/config.ts';

/** Ways to train that a run may be asked for, the default first. */
export interface Way {
  schedule: string;
  wire: string;
}

/** Weights are updated in step with one another: steps do not overlap yet. */
export const SCHEDULES: readonly string[] = ['sync'];
export const WIRES: readonly string[] = RunConfigSchema.entries.wire.options;

/** A configuration with the wire format that is asked for. */
export const withWay = (config: RunConfig, { wire = config.wire }: Partial<Way>): RunConfig => ({
  ...config,
  wire: wire as RunConfig['wire'],
});
