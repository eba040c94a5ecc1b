import { table } from '../../client/cli/progress.ts';
import { PLANNER_CASES, PLANNER_HEADS, plannerRow, plannerTimes } from './planner-cases.ts';

/**
 * How long the planner takes, by layers and devices: the first plan for a model and size of room, of which the very first is also the
 * first of the process, and the least, the middle and the longest of some more.
 *
 *   node --import tsx test/bench/planner.ts [rooms]
 */
const rooms = Number(process.argv[2] ?? 9);

const rows = PLANNER_CASES.map((one) => plannerRow(one, plannerTimes(one, rooms)));
console.log(table(PLANNER_HEADS, rows).join('\n'));
