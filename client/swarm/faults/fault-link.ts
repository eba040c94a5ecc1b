import { isLostNext } from '../../../shared/bursts.ts';
import { hashText, randomUniform } from '../../../shared/counter-random.ts';
import type { PartHead } from '../../../shared/frames.ts';
import type { LinkFaults } from '../../../shared/schema/faults.ts';

/** What identifies a frame to whoever decides on its fate. */
export type FrameKey = Pick<PartHead, 'kind' | 'step' | 'micro' | 'boundary' | 'offset' | 'toLane'> & {
  attempt: number;
};

/** A stream of losses in a row, with random numbers of its own. */
interface Row {
  question: string;
  isBad: boolean;
  frames: number;
}

/** What happens to the frames that come from one peer to another. The same seed does the same, whatever the ids of the peers. */
export class FaultLink {
  readonly #direction: number;
  /** Without direction: a link is down both ways. */
  readonly #pair: number;
  /** Losses in a row and the frames so far, apart: what evaluations lose changes nothing of training. */
  readonly #training: Row = { question: 'burst', isBad: false, frames: 0 };
  readonly #evaluations: Row = { question: 'burst/evaluation', isBad: false, frames: 0 };
  /** The outage that ends last of those worked out, and how many those are. */
  #outage = { startMs: -Infinity, endMs: 0 };
  #outages = 0;

  constructor(
    readonly faults: LinkFaults,
    private readonly seed: number,
    from: string,
    to: string,
  ) {
    this.#direction = hashText(`${from}>${to}`);
    this.#pair = hashText([from, to].sort().join('-'));
  }

  /** True where a frame is lost. @param sinceMs time since the faults began */
  drops(key: FrameKey, sinceMs: number): boolean {
    const row = key.kind === 'evaluation' ? this.#evaluations : this.#training;
    row.frames++;
    return this.#isDown(sinceMs) || this.#isDropped(key, row);
  }

  /** Uniform in [0, 1), for one question about a frame. */
  uniform(question: string, { kind, step, micro, boundary, offset, attempt, toLane }: FrameKey): number {
    const on = toLane === undefined ? '' : `/${toLane}`;
    const what = hashText(`${question}/${kind}/${boundary}/${offset}/${attempt}${on}`);
    return randomUniform(this.seed ^ this.#direction, what, step, micro);
  }

  /** Losses by themselves follow from the frame, so that every rule loses the same ones; those in bursts from how many came before. */
  #isDropped(key: FrameKey, row: Row): boolean {
    const { drop = 0, burst } = this.faults;
    if (drop === 0 || drop === 1 || burst === undefined) return this.uniform('drop', key) < drop;
    const turn = randomUniform(this.seed ^ this.#direction, hashText(row.question), row.frames);
    row.isBad = isLostNext(row.isBad, turn, drop, burst);
    return row.isBad;
  }

  /** Stretches of one length, with pauses between that are exponential and in the mean leave the wanted share. */
  #isDown(sinceMs: number): boolean {
    const { outage } = this.faults;
    if (!outage || outage.share === 0) return false;
    const lengthMs = outage.seconds * 1000;
    while (this.#outage.endMs <= sinceMs) {
      const turn = randomUniform(this.seed ^ this.#pair, hashText('outage'), this.#outages++);
      const pauseMs = -Math.log(1 - turn) * lengthMs * (1 / outage.share - 1);
      const startMs = this.#outage.endMs + pauseMs;
      this.#outage = { startMs, endMs: startMs + lengthMs };
    }
    return sinceMs >= this.#outage.startMs;
  }
}
