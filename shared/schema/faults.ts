import * as v from 'valibot';
import { shortestBurst } from '../bursts.ts';
import { LIMITS } from '../limits.ts';
import { name, real, whole } from './common.ts';

const share = real(0, 1);
const peerName = name(LIMITS.room.nameChars);
const between = v.tuple([peerName, peerName]);
const seconds = v.pipe(real(0, 86_400), v.gtValue(0));

const burstFits = (drop = 0, burst?: number): boolean =>
  burst === undefined || (drop > 0 && burst >= shortestBurst(drop));
const BURST_COMPLAINT =
  'A burst says how many frames are lost in a row: that takes losses, and no fewer than chance makes of them.';

const linkFaults = {
  /** Share of frames that are lost. */
  drop: v.optional(share),
  /** Mean number of frames that are lost in a row; left out: each for itself. */
  burst: v.optional(real(1, 1e6)),
  /** A frame comes up to so much later, each by its own. */
  jitterMs: v.optional(real(0, 60_000)),
  /** Share of frames that come twice. */
  duplicate: v.optional(share),
  /** Share of frames that come after the one behind them. */
  reorder: v.optional(share),
  /** The link is down for that share of the time, so many seconds at a stretch. */
  outage: v.optional(v.strictObject({ share: v.pipe(share, v.ltValue(1)), seconds })),
};

/**
 * What happens to frames of parts in training, for experiments, by the run's seed. Control messages and blobs are spared, and so are
 * evaluations where nothing else is said. Peers are meant by name.
 */
export const FaultsSchema = v.pipe(
  v.strictObject({
    ...linkFaults,
    /** Instead of the above, for the links between two peers. */
    links: v.optional(
      v.pipe(
        v.array(
          v.pipe(
            v.strictObject({ between, ...linkFaults }),
            v.check(({ drop, burst }) => burstFits(drop, burst), BURST_COMPLAINT),
          ),
        ),
        v.maxLength(LIMITS.faults.named),
      ),
    ),
    /** Frames of evaluations get lost on their links as well, and count as zeros; left out: none is. Nothing else happens to them. */
    tests: v.optional(v.boolean()),
    /** Nothing comes from or to a peer in the last `seconds` of every `everySeconds`; it comes all at once after them. */
    stalls: v.optional(
      v.pipe(
        v.array(v.strictObject({ peer: peerName, seconds, everySeconds: seconds })),
        v.maxLength(LIMITS.faults.named),
      ),
    ),
    /** Nothing of steps [first, last] passes between two peers. */
    cuts: v.optional(
      v.pipe(
        v.array(
          v.strictObject({
            between,
            steps: v.tuple([whole(0, LIMITS.run.steps), whole(0, LIMITS.run.steps)]),
          }),
        ),
        v.maxLength(LIMITS.faults.named),
      ),
    ),
  }),
  v.check(({ drop, burst }) => burstFits(drop, burst), BURST_COMPLAINT),
  v.check(
    ({ tests, links = [], ...all }) =>
      !tests || [all, ...links].some(({ drop, outage }) => drop !== undefined || outage !== undefined),
    'Tests meet the losses of training: that takes a share of frames that are lost, or outages.',
  ),
);
export type Faults = v.InferOutput<typeof FaultsSchema>;
export type LinkFaults = Pick<Faults, keyof typeof linkFaults>;
