/** Everything a run decides before it touches the model: split, tokens, shapes, step counts. The preview shows the same numbers. */
import type { Job } from '../job/parameters'
import type { Example } from '../job/records'
import { needOf } from './assemble'
import { TuningError } from './errors'
import type { HeldOut } from './evaluate'
import { firstTokens, labelSet } from './labels'
import { countSteps, scheduleOf } from './schedule'
import type { Schedule } from './schedule'
import { buildSequences } from './sequences'
import type { BuiltSequence } from './sequences'
import { Shapes } from './shapes'
import type { Need } from './shapes'
import { splitExamples } from './split'
import type { Tokenizer } from './tokenizer'

export interface Prepared {
  readonly train: readonly BuiltSequence[]
  readonly train_examples: readonly Example[]
  readonly needs: readonly Need[]
  /** null without validation rows. */
  readonly held: HeldOut | null
  /** Shapes for training, and for scoring (the same lengths, with slots for label ranking). */
  readonly shapes: Shapes
  readonly score_shapes: Shapes
  /** B of every batch: job.batch_size, or the training rows where they are fewer. */
  readonly batch_size: number
  readonly total_steps: number
  readonly schedule: Schedule
  readonly truncated_sources: number
  readonly truncated_targets: number
  /** Positions of the longest row, virtual tokens included. */
  readonly longest: number
  readonly notices: readonly string[]
}

/** A prediction may say a little more than the longest answer, so that a wrong one can be read. */
const SHORTEST_PREDICTION = 8

function noticesFor(job: Job, prepared: Omit<Prepared, 'notices'>): string[] {
  const { truncated_sources, truncated_targets, total_steps, train, held } = prepared
  const rows = (count: number): string => `${count} ${count === 1 ? 'row' : 'rows'}`
  const notices: string[] = []
  if (truncated_sources > 0)
    notices.push(
      `The input of ${rows(truncated_sources)} was cut to fit ${job.max_source_length} source tokens and the model's positions.`,
    )
  if (truncated_targets > 0)
    notices.push(
      `The output of ${rows(truncated_targets)} was cut to fit ${job.max_target_length} target tokens and the model's positions.`,
    )
  if (job.batch_size > train.length)
    notices.push(
      `batch_size ${job.batch_size} is more than the ${rows(train.length)} there are to train on; all of them make one batch.`,
    )
  if (held === null && job.early_stopping_patience !== null)
    notices.push('Early stopping needs validation rows and there are none; all epochs run.')
  if (job.warmup_steps > 0 && job.warmup_steps >= total_steps) {
    notices.push(
      `warmup_steps ${job.warmup_steps} is as long as the whole run of ${total_steps} steps; the learning rate never reaches its full height.`,
    )
  }
  return notices
}

/**
 * @param validation null: job.validation's share of `examples` is held out.
 * @throws TuningError for no rows, a template that is too long, or virtual tokens that leave no room.
 */
export function prepare(
  job: Job,
  max_positions: number | null,
  tokenizer: Tokenizer,
  examples: readonly Example[],
  validation: readonly Example[] | null,
): Prepared {
  const split = validation === null ? splitExamples(examples, job.validation, job.seed) : { train: examples, validation }
  if (split.train.length === 0)
    throw new TuningError('There are no examples to train on.', 'Give at least one example with an input and an output.')
  const train = buildSequences(split.train, job, max_positions, tokenizer)
  const held = buildSequences(split.validation, job, max_positions, tokenizer)
  const all = [...train, ...held]
  const outputs = [...split.train, ...split.validation].map(({ output }) => output)

  const n = job.tuning_config.num_virtual_tokens
  const needs = train.map((sequence) => needOf(sequence, n))
  const allNeeds = [...needs, ...held.map((sequence) => needOf(sequence, n))]
  const labels = held.length > 0 ? labelSet(all, outputs, n, max_positions) : null
  const longestTarget = held.reduce((most, { target }) => Math.max(most, target.length), 0)
  const counts = countSteps(job, train.length)
  const prepared = {
    train,
    train_examples: split.train,
    needs,
    held:
      held.length === 0
        ? null
        : {
            examples: split.validation,
            sequences: held,
            labels,
            max_new_tokens: Math.min(job.max_target_length + 1, Math.max(longestTarget, SHORTEST_PREDICTION)),
          },
    shapes: new Shapes(allNeeds, max_positions),
    score_shapes: new Shapes(allNeeds, max_positions, labels ? firstTokens(labels).length : 0),
    batch_size: Math.min(job.batch_size, train.length),
    total_steps: counts.total_steps,
    schedule: scheduleOf(job, counts),
    truncated_sources: all.filter(({ truncated_source }) => truncated_source).length,
    truncated_targets: all.filter(({ truncated_target }) => truncated_target).length,
    longest: allNeeds.reduce((most, { sequence_length }) => Math.max(most, sequence_length), 0),
  }
  return { ...prepared, notices: noticesFor(job, prepared) }
}
