import { duration, percent } from '../progress.ts';
import { PARTITIONS, RULES, TROUBLES, type Settings } from './grid.ts';
import type { Summary } from './outcome.ts';
import type { Sweep } from './sweep.ts';

/** What an experiment found, as Markdown. Pure. */

const titleOf = (trouble: string): string => TROUBLES.find(({ name }) => name === trouble)?.title ?? trouble;

export const wayOf = ({ partition, rule }: Pick<Summary, 'partition' | 'rule'>): string =>
  `${partition}, ${rule}`;

/** Ways in the order in which they are always told. */
function waysOf(summaries: readonly Summary[]): string[] {
  return PARTITIONS.flatMap((partition) => RULES.map((rule) => wayOf({ partition, rule }))).filter((way) =>
    summaries.some((summary) => wayOf(summary) === way),
  );
}

const troublesOf = (summaries: readonly Summary[]): string[] =>
  TROUBLES.map(({ name }) => name).filter((name) => summaries.some(({ trouble }) => trouble === name));

/** Head and rows of a table of all ways by all troubles. */
function gridOf(summaries: readonly Summary[], show: (summary: Summary) => string): string[][] {
  const troubles = troublesOf(summaries);
  const rows = waysOf(summaries).map((way) => [
    way,
    ...troubles.map((trouble) => {
      const found = summaries.find((summary) => summary.trouble === trouble && wayOf(summary) === way);
      return found ? show(found) : '';
    }),
  ]);
  return [['', ...troubles.map(titleOf)], ...rows];
}

/** Seconds to the target; where a run did not get there, how many of how many did. */
function timeShown({ secondsToTarget, reached, runs }: Summary, { seconds }: Settings): string {
  if (secondsToTarget !== null) return `${secondsToTarget.toFixed(0)} s`;
  return reached === 0 ? `over ${seconds} s` : `${reached} of ${runs} in ${seconds} s`;
}

const shareShown = (share: number | null): string => (share === null ? '' : share.toFixed(3));

export interface TableSection {
  title: string;
  note: string;
  rows: string[][];
}

export function sectionsOf(summaries: readonly Summary[], settings: Settings): TableSection[] {
  return [
    {
      title: `Time to ${percent(settings.target, 1)} of the test images`,
      note: 'Wall clock of training, the mean over seeds.',
      rows: gridOf(summaries, (summary) => timeShown(summary, settings)),
    },
    {
      title: `Accuracy after ${settings.compareSeconds} s`,
      note: 'Test images that are right, the mean over seeds.',
      rows: gridOf(summaries, ({ accuracy }) => percent(accuracy, 1)),
    },
    {
      title: 'Steps per second',
      note: 'Steps in which every micro-batch was lost count, too.',
      rows: gridOf(summaries, ({ stepsPerSecond }) => stepsPerSecond.toFixed(2)),
    },
    {
      title: 'Micro-batches whole / partial / skipped',
      note: 'Percent of all micro-batches at all blocks.',
      rows: gridOf(summaries, ({ whole, partial, skipped }) =>
        [whole, partial, skipped].map((share) => (100 * share).toFixed(0)).join(' / '),
      ),
    },
    {
      title: 'Shares used, forward / backward',
      note: 'Of the frames that others should have sent, those that were there in time, at the boundary where it is least.',
      rows: gridOf(summaries, ({ forwardUsed, backwardUsed }) =>
        [forwardUsed, backwardUsed].map(shareShown).join(' / '),
      ),
    },
    ...(settings.runsIn === 'browsers' ? [processors(summaries)] : []),
  ];
}

const processors = (summaries: readonly Summary[]): TableSection => ({
  title: 'Processors busy',
  note: 'Of this machine, in the mean. Where nearly all are, they decide, and not the emulated devices.',
  rows: gridOf(summaries, ({ busyProcessors }) => busyProcessors.toFixed(1)),
});

function placeText({ runsIn, rooms }: Settings): string {
  if (runsIn === 'simulation') return 'in the simulation, on virtual time';
  return `in real browsers, ${rooms === 1 ? 'one room' : `${rooms} rooms`} at a time`;
}

export const aboutText = (settings: Settings): string =>
  `${settings.model} on MNIST, ${settings.batch} samples a step in ${settings.microBatches} micro-batches, Adam at a constant ` +
  `${settings.learningRate}; 4 equal devices (${settings.deviceMs} ms for the whole model's forward of a micro-batch), links of 25 ± 10 ms one ` +
  `way, parts as ${settings.wire}, ${placeText(settings)}, ${settings.seeds} ${settings.seeds === 1 ? 'seed' : 'seeds'}. Tests of the model take none of the time.`;

export function sweepText({ tried, bestMs }: Sweep): string {
  if (tried.length === 0) return `Longest wait between requests for a part: ${bestMs} ms, not tried out.`;
  const each = tried.map(({ resendMs, stepsPerSecond }) => `${resendMs} ms ${stepsPerSecond.toFixed(2)}`);
  return (
    `Longest wait between requests for a part, tried on vertical, stall: ${each.join(', ')} steps per second; ` +
    `${bestMs} ms is used for all partitions.`
  );
}

export function markdown(
  summaries: readonly Summary[],
  settings: Settings,
  sweep: Sweep,
  progress: { done: number; all: number; tookMs: number },
): string {
  const sections = sectionsOf(summaries, settings).flatMap(({ title, note, rows }) => [
    `## ${title}`,
    '',
    note,
    '',
    ...markdownTable(rows),
    '',
  ]);
  return [
    '# Volatile links',
    '',
    aboutText(settings),
    '',
    sweepText(sweep),
    '',
    `${progress.done} of ${progress.all} runs${progress.tookMs > 0 ? `, ${duration(progress.tookMs)} this time` : ''}.`,
    '',
    ...sections,
  ].join('\n');
}

function markdownTable([heads, ...rows]: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)];
}
