/** EdgePipe as a library: join a room from your own page and train in it. */
export { runConfig, type RunChoices } from './defaults.ts';
export { mlp, readModel } from './model/models.ts';
export { Room, type JoinOptions, type RoomSnapshot } from './room.ts';
export type { LossRule, RunConfig } from '../shared/schema/config.ts';
export type { Faults } from '../shared/schema/faults.ts';
export type { Report } from '../shared/schema/report.ts';
export type { ModelSpec, LayerSpec } from '../shared/model.ts';
