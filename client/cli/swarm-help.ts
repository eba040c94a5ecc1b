import { LIMITS } from '../../shared/limits.ts';
import { OptimizerSchema, RunConfigSchema } from '../../shared/schema/config.ts';
import { runConfig } from '../defaults.ts';

export const DEFAULT_PEERS = 4;
export const DEFAULT_TIMEOUT_SECONDS = 3600;

const { task, partition, shares, wire, ordering, schedule, rule } = RunConfigSchema.entries;
const optimizers = OptimizerSchema.entries;
const defaults = runConfig();
const INDENT = `\n${' '.repeat(23)}`;
const MODEL_HELP =
  `mlp, mlp:512-256 (widths of the hidden layers), cnn, cnn:16-32-128 (filters of two${INDENT}` +
  `convolutions, units of a dense layer), resnet, or the model.json of a tf.LayersModel,${INDENT}` +
  `with its weights where they lie beside it`;

export const SWARM_HELP = `Trains one neural network in several real browsers, which join a room as people do.

  npm run swarm -- [flags]

  --peers N            browsers, 1 to ${LIMITS.room.peers} (${DEFAULT_PEERS})
  --task T             ${task.options.join(', ')}; fashion needs Debian's package dataset-fashion-mnist (${defaults.task})
  --model M            ${MODEL_HELP} (mlp)
  --partition P        ${partition.options.join(', ')}: what the planner finds best, stages of
                       several lanes, stages alone, lanes alone (${defaults.partition})
  --grid G             stages x lanes, such as 2x2, or auto: the planner's choice (auto)
  --shares S           ${shares.options.join(', ')}: slices in proportion to speed, or all alike (${defaults.shares})
  --wire W             ${wire.options.join(', ')}: numbers between peers in training, exact or in fewer bytes;
                       auto is float32, and int8 where parts may get lost and it saves a tenth of the time (${defaults.wire})
  --replan LIST        plans anew when these steps are reached: devices are measured again, units ordered: 100,300
  --ordering O         ${ordering.wrapped.options.join(', ')}: of units in a new plan; the last two for comparison (${ordering.wrapped.options[0]})
  --schedule S         ${schedule.wrapped.options.join(', ')}: steps one after the other, or overlapping, on weights a step old (sync)
  --rule R             ${rule.wrapped.options.join(', ')}: go on without late and lost parts, wait for them, drop their
                       micro-batch, or ask again a few times (links are trusted; with faults: deadline)
  --copies C           on, off: under deadline, parts go several times over links that lose them, some by way of other peers (on)
  --steps N            optimizer steps (${defaults.steps})
  --batch N            samples per optimizer step (${defaults.batch})
  --micro-batches M    micro-batches per step; the batch divides by it (${defaults.microBatches})
  --optimizer O        ${optimizers.kind.options.join(', ')} (${defaults.optimizer.kind})
  --learning-rate X    (what suits model and optimizer: ${defaults.optimizer.learningRate} for mlp and ${defaults.optimizer.kind})
  --decay D            ${optimizers.decay.options.join(', ')}: of the learning rate over the run (${defaults.optimizer.decay})
  --seed N             of the initial weights and the order of samples (${defaults.seed})
  --report FILE        writes the report of the run, JSON
  --trace FILE         writes what every peer did when, for ui.perfetto.dev or chrome://tracing
  --save DIR           writes the trained model as a tfjs LayersModel: model.json, weights.bin
  --browser PATH       the Chromium or Chrome to use (the one that is installed)
  --isolate            one browser process per peer (one page per peer)
  --device-ms LIST     emulates devices: milliseconds for the whole model's forward of one micro-batch,
                       one number per peer, or one for all: 200,200,400,100
  --memory-mb LIST     what the tensors of a peer may take, in MB, one number per peer, or one for all: 64,64,128,32
  --delay LIST         makes links slower: peer-peer:milliseconds each way, or one number for all: 1-2:80,1-3:20
  --drop P             loses that share of all frames of parts where they arrive; like the next five for all links,
                       or for some: 1-2:0.3,1-3:0.1
  --burst N            how many are lost in a row, in the mean (each by itself)
  --jitter MS          each frame comes up to so much later
  --duplicate P        that share comes twice
  --reorder P          that share comes after the next ones
  --outage S:SECONDS   a link is down for that share of the time, so many seconds at a stretch: 0.25:2
  --stall P:S:EVERY    nothing comes from or to a peer for S seconds of every so many: 3:5:15
  --cut A-B@S..S       nothing passes between two peers in those steps: 1-2@100..150
  --drop-tests         tests meet the losses and outages, too: what is lost counts as zeros (tests are spared)
  --watch              lets phones and laptops join: prints the room's address and waits for Enter
  --port N             port of the signaling server (any free one)
  --timeout SECONDS    gives up after this long (${DEFAULT_TIMEOUT_SECONDS})
  --help, -h           show this
`;
