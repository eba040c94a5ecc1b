import { addRange, takeRange } from '../../client/pipeline/parts.ts';
import { releaseFrame } from '../../shared/frame-pool.ts';
import { decodeFrame, encodePart, type PartFrame } from '../../shared/frames.ts';
import { PART_HEADER_BYTES, stretchesOf } from '../../shared/packets.ts';
import { allFinite, payloadBytes, readNumbers, WIRE_FORMATS, writeNumbers } from '../../shared/wire.ts';

/** One comparison: arms in turns, milliseconds each. */
export interface FramingTimes {
  what: string;
  times: Record<string, number[]>;
}

const ROWS = 256;
const COLUMNS = 1024;
const ROUNDS = 60;
const REPEATS = 5;

function inTurns(arms: Record<string, () => unknown>): Record<string, number[]> {
  const times: Record<string, number[]> = Object.fromEntries(Object.keys(arms).map((arm) => [arm, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [arm, run] of Object.entries(arms)) {
      const start = performance.now();
      for (let i = 0; i < REPEATS; i++) run();
      // The first rounds compile.
      if (round >= ROUNDS / 4) times[arm].push((performance.now() - start) / REPEATS);
    }
  }
  return times;
}

const part = Float32Array.from(
  { length: ROWS * COLUMNS },
  (_, i) => Math.sin(i) * Math.exp(Math.sin(i / 99)),
);

function headsOf(format: PartFrame['format']) {
  return stretchesOf(format, part.length).map(({ offset, count }) => ({
    kind: 'forward' as const,
    ...{ term: 1, version: 1, planTag: 1, step: 0, micro: 0, boundary: 0, lane: 0 },
    rows: ROWS,
    columns: COLUMNS,
    offset,
    count,
    format,
  }));
}

/** Cutting a part into frames, and putting it together. */
function framing(format: PartFrame['format']): FramingTimes[] {
  const heads = headsOf(format);
  const frames = heads.map((head) => encodePart(head, part));
  const received = new Float32Array(part.length);
  return [
    {
      what: `to frames, ${format}`,
      times: inTurns({
        'as it is, in buffers of the pool': () => {
          for (const head of heads) releaseFrame(encodePart(head, part));
        },
        'in new buffers': () => heads.map((head) => encodePart(head, part)),
        'numbers first, then copied into a frame': () =>
          heads.map((head) => {
            const payload = new Uint8Array(payloadBytes(format, head));
            writeNumbers(format, part, head, payload);
            const frame = new Uint8Array(PART_HEADER_BYTES + payload.length);
            frame.set(payload, PART_HEADER_BYTES);
            return frame;
          }),
      }),
    },
    {
      what: `from frames, ${format}`,
      times: inTurns({
        'as it is': () => {
          for (const bytes of frames) {
            const frame = decodeFrame(bytes) as PartFrame;
            readNumbers(format, frame.payload, frame, received);
          }
        },
      }),
    },
  ];
}

function finite(): FramingTimes {
  return {
    what: 'are all finite?',
    times: inTurns({
      'as it is: by exponents': () => allFinite(part),
      'by subtraction': () => {
        let sum = 0;
        for (const x of part) sum += x - x;
        return sum === 0;
      },
    }),
  };
}

/** Half of the units of a tensor, of `units` at each place. */
function halves(units: number): FramingTimes {
  const outer = 64;
  const rows = part.length / outer / units;
  const shape = { shape: [outer, units], units, outer, inner: 1, space: 0 };
  const held: [number, number] = [0, units];
  const half: [number, number] = [units / 2, units];
  const taken = takeRange(part, rows, shape, held, half);
  const register = new Float32Array(part.length);
  return {
    what: `half of ${units} units at each place`,
    times: inTurns({
      'taken as it is': () => takeRange(part, rows, shape, held, half),
      'taken by views': () => {
        const out = new Float32Array(part.length / 2);
        for (let i = 0; i < rows * outer; i++) {
          const from = i * units + units / 2;
          out.set(part.subarray(from, from + units / 2), (i * units) / 2);
        }
        return out;
      },
      'added as it is': () => {
        addRange(register, taken, rows, shape, held, half);
      },
    }),
  };
}

/** 256 rows of 1,024 numbers: 1 MiB of float32. */
export const framingTimes = (): FramingTimes[] => [
  ...WIRE_FORMATS.flatMap(framing),
  finite(),
  ...[8, 16, 32, 64, 128, 256, 1024].map(halves),
];

Object.assign(globalThis, { framingTimes });
