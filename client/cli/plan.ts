import { decide } from '../planner/decision.ts';
import { predict } from '../planner/predict.ts';
import { devicesOf, linksOf } from './plan-devices.ts';
import { parsePlanOptions, PLAN_HELP, type PlanOptions } from './plan-options.ts';
import { plannedJson, plannedText, type Planned } from './plan-text.ts';

/** Makes the plan. Throws nothing: a text where there is none. */
function planned({ devices: file, config }: PlanOptions): Planned | string {
  const devices = devicesOf(file!, config);
  const decision = decide(config, devices, linksOf(file!), []);
  if (typeof decision === 'string') return decision;
  const { problem, chosen, options, why } = decision;
  return { config, devices, chosen, options, prediction: predict(problem, chosen.partition), why };
}

function main(options: PlanOptions): number {
  const made = planned(options);
  if (typeof made === 'string') {
    console.error(made);
    return 1;
  }
  console.log(options.json ? JSON.stringify(plannedJson(made), null, 2) : plannedText(made).join('\n'));
  return 0;
}

const parsed = parsePlanOptions(process.argv.slice(2));
if (!parsed.ok) {
  console.error(parsed.message);
  process.exitCode = 2;
} else if (parsed.options.help) {
  console.log(PLAN_HELP);
} else {
  process.exitCode = main(parsed.options);
}
