import { RunConfigSchema, type RunConfig } from '../../shared/schema/config.ts';
import { WIRE_FORMATS } from '../../shared/wire.ts';

/** Ways to train that a run may be asked for, the default first. */
export interface Way {
  schedule: string;
  wire: string;
}

export const SCHEDULES: readonly string[] = RunConfigSchema.entries.schedule.wrapped.options;
export const WIRES: readonly string[] = WIRE_FORMATS;

/** A configuration with the schedule and the wire format that are asked for. */
export const withWay = (
  config: RunConfig,
  { wire = config.wire, schedule = config.schedule }: Partial<Way>,
): RunConfig => ({
  ...config,
  wire: wire as RunConfig['wire'],
  ...(schedule && { schedule: schedule as NonNullable<RunConfig['schedule']> }),
});
