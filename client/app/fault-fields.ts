import { html } from 'lit';
import type { LossRule } from '../../shared/schema/config.ts';
import type { Faults, LinkFaults } from '../../shared/schema/faults.ts';

/** What a person chose of lost and late parts; nothing where links are to be trusted. */
export interface Trouble {
  rule?: LossRule;
  faults?: Faults;
}

const RULES: readonly (readonly [LossRule | '', string])[] = [
  ['', 'trust links'],
  ['deadline', 'go on without'],
  ['repair', 'ask again, then go on'],
  ['stall', 'wait for them'],
  ['discard', 'drop the micro-batch'],
];

/** Fields for what becomes of late and lost parts, and for faults on purpose. `names`: of who is here. */
export function faultFields(names: readonly string[]) {
  return html`<details class="wide">
    <summary>Late and lost parts</summary>
    <div class="fields">
      <label>
        Rule
        <select name="rule">
          ${RULES.map(([rule, text]) => html`<option value=${rule}>${text}</option>`)}
        </select>
      </label>
      <p class="wide muted small">
        For experiments, training’s own messages can be disturbed where they arrive, the same way for the same
        seed:
      </p>
      ${amount('Lost, %', 'drop', 100)} ${amount('Lost in a row, mean', 'burst', 1e6, 1)}
      ${amount('Late by up to, ms', 'jitterMs', 60_000)} ${amount('Come twice, %', 'duplicate', 100)}
      ${amount('Out of order, %', 'reorder', 100)} ${amount('Links down, %', 'outage', 99.9)}
      ${amount('Down at a stretch, s', 'outageSeconds', 86_400)}
      ${choice('A peer that stalls', 'stallPeer', 'nobody', names)}
      ${amount('Stalls for, s', 'stallSeconds', 86_400)} ${amount('In every, s', 'stallEvery', 86_400)}
      ${choice('A link that is cut', 'cutLink', 'none', pairsOf(names).map(pairText))}
      ${amount('Cut from step', 'cutFirst', 999_999, 0, 1)} ${amount('Cut to step', 'cutLast', 999_999, 0, 1)}
      <label>
        Tests of the model
        <select name="tests">
          <option value="">lose nothing</option>
          <option value="lossy">lose as much</option>
        </select>
      </label>
    </div>
  </details>`;
}

const amount = (label: string, name: string, max: number, min = 0, step: number | 'any' = 'any') =>
  html`<label>
    ${label}
    <input name=${name} type="number" inputmode="decimal" step=${step} min=${min} max=${max} />
  </label>`;

const choice = (label: string, name: string, none: string, texts: readonly string[]) =>
  html`<label>
    ${label}
    <select name=${name}>
      <option value="">${none}</option>
      ${texts.map((text, i) => html`<option value=${i}>${text}</option>`)}
    </select>
  </label>`;

type Pair = [string, string];

const pairsOf = (names: readonly string[]): Pair[] =>
  names.flatMap((a, i) => names.slice(i + 1).map((b): Pair => [a, b]));

const pairText = ([a, b]: Pair): string => `${a} – ${b}`;

/** What the fields say. Throws a message for people where they say half of something. */
export function readTrouble(data: Readonly<Record<string, string>>, names: readonly string[]): Trouble {
  const faults: Faults = {
    ...linkFaultsOf(data),
    ...(data.tests !== '' && { tests: true }),
    ...(data.stallPeer !== '' && { stalls: [stallOf(data, names[Number(data.stallPeer)])] }),
    ...(data.cutLink !== '' && { cuts: [cutOf(data, pairsOf(names)[Number(data.cutLink)])] }),
  };
  return {
    ...(data.rule !== '' && { rule: data.rule as LossRule }),
    ...(Object.keys(faults).length > 0 && { faults }),
  };
}

function linkFaultsOf(data: Readonly<Record<string, string>>): LinkFaults {
  const number = (name: string) => (data[name] === '' ? 0 : Number(data[name]));
  const share = (name: string) => number(name) / 100;
  const seconds = number('outageSeconds') || DOWN_SECONDS;
  const wanted = {
    drop: share('drop'),
    burst: number('burst'),
    jitterMs: number('jitterMs'),
    duplicate: share('duplicate'),
    reorder: share('reorder'),
  };
  const given = Object.entries(wanted).filter(([, value]) => value > 0);
  return {
    ...(Object.fromEntries(given) as LinkFaults),
    ...(number('outage') > 0 && { outage: { share: share('outage'), seconds } }),
  };
}

/** Where nothing else is said. */
const DOWN_SECONDS = 2;

function stallOf({ stallSeconds, stallEvery }: Readonly<Record<string, string>>, peer: string) {
  const [seconds, everySeconds] = [Number(stallSeconds), Number(stallEvery)];
  if (!(seconds > 0 && everySeconds > seconds))
    throw new Error(`Say for how long ${peer} stalls, and in every how many seconds, which must be more.`);
  return { peer, seconds, everySeconds };
}

function cutOf({ cutFirst, cutLast }: Readonly<Record<string, string>>, between: Pair) {
  const [first, last] = [Number(cutFirst), Number(cutLast)];
  if (cutFirst === '' || cutLast === '' || first > last)
    throw new Error(`Say from which step to which the link between ${between.join(' and ')} is cut.`);
  return { between, steps: [first, last] as [number, number] };
}
