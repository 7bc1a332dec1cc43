/** Everything a run decides before it touches the model: split, tasks, tokens, shapes, step counts. The preview shows the same numbers. */
import type { StepShape } from '../engine/memory'
import { outputModelTypes } from '../job/check-model'
import type { Job } from '../job/parameters'
import type { Example } from '../job/records'
import { needOf } from './assemble'
import type { VirtualTokens } from './assemble'
import { TuningError } from './errors'
import type { HeldOut } from './evaluate'
import { labelSlots, rowLabels } from './labels'
import { countSteps, scheduleOf } from './schedule'
import type { Schedule } from './schedule'
import { builderFor, limitsOf, templateOf } from './sequences'
import type { BuiltSequence, SequenceLimits } from './sequences'
import { largerNeed, NO_NEED, Shapes } from './shapes'
import type { Need } from './shapes'
import type { PromptLayout } from './soft-prompt'
import { splitExamples } from './split'
import { tasksOf } from './tasks'
import type { Tasks } from './tasks'
import type { Tokenizer } from './tokenizer'

/** What of the model matters before it is touched. */
export interface ModelShape {
  readonly kind: 'causal-lm' | 'seq2seq'
  readonly hidden_size: number
  readonly max_positions: number | null
  /** Whether all batches should have one shape, because every further one would load the weights anew. Default false. */
  readonly single_shape?: boolean
}

/** What a job trains on a model of this shape. */
export function layoutOf(job: Job, model: Pick<ModelShape, 'kind' | 'hidden_size'>): PromptLayout {
  const { tuning_type, tuning_config: config } = job
  const types = outputModelTypes(job, model.kind)
  const multitask = tuning_type === 'MULTITASK_PROMPT_TUNING'
  return {
    tuning_type,
    stacks: (['encoder', 'decoder'] as const).filter((stack) => types.includes(stack === 'encoder' ? 'ENCODER' : 'DECODER')),
    num_virtual_tokens: config.num_virtual_tokens,
    hidden_size: model.hidden_size,
    num_tasks: multitask ? config.num_tasks : 1,
    num_ranks: multitask ? config.num_ranks : 1,
  }
}

export const virtualTokens = ({ stacks, num_virtual_tokens: n }: PromptLayout): VirtualTokens => ({
  encoder: stacks.includes('encoder') ? n : 0,
  decoder: stacks.includes('decoder') ? n : 0,
})

export interface Prepared {
  readonly layout: PromptLayout
  readonly limits: SequenceLimits
  readonly tasks: Tasks
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

/** The largest training step of a run, whose memory decides whether the run fits. */
export function largestStep({ layout, shapes, score_shapes, batch_size }: Prepared): StepShape {
  const shape = shapes.all().reduce(largerNeed, NO_NEED)
  const { label_length } = score_shapes.all().reduce(largerNeed, NO_NEED)
  const { encoder_length, ...stack } = shape
  return {
    batch_size,
    ...stack,
    encoder: encoder_length === 0 ? null : { sequence_length: encoder_length, width: null },
    lengths: virtualTokens(layout),
    score_label_length: label_length,
  }
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
  const named = new Set(prepared.train_examples.flatMap(({ task }) => task ?? [])).size
  if (named > 1 && prepared.tasks.names.length === 1) {
    notices.push(
      `The examples are of ${named} tasks and share one prompt. MULTITASK_PROMPT_TUNING with num_tasks ${named} gives each a part of its own.`,
    )
  }
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
 * @throws TuningError for no rows, a template that is too long, virtual tokens that leave no room, an encoder's prompt on a model without one,
 *   or tasks that do not fit the job.
 */
export function prepare(
  job: Job,
  model: ModelShape,
  tokenizer: Tokenizer,
  examples: readonly Example[],
  validation: readonly Example[] | null,
): Prepared {
  const { max_positions } = model
  const split = validation === null ? splitExamples(examples, job.validation, job.seed) : { train: examples, validation }
  if (split.train.length === 0)
    throw new TuningError('There are no examples to train on.', 'Give at least one example with an input and an output.')
  const layout = layoutOf(job, model)
  if (model.kind === 'causal-lm' && layout.stacks.includes('encoder')) {
    throw new TuningError(
      'tuning_config.output_model_types has ENCODER, but a causal language model has no encoder.',
      'Leave output_model_types out, or give ["DECODER"].',
    )
  }
  const tasks = tasksOf(job, split.train, split.validation)
  const tokens = virtualTokens(layout)
  const limits = limitsOf(job, { kind: model.kind, max_positions, virtual_tokens: tokens })
  const [build, template] = [builderFor(job, model.kind), templateOf(job.verbalizer)]
  const sequenceOf = (example: Example): BuiltSequence => build(example, template, limits, tokenizer, tasks.indexOf(example))
  const train = split.train.map(sequenceOf)
  const held = split.validation.map(sequenceOf)
  const all = [...train, ...held]
  const outputs = [...split.train, ...split.validation].map(({ output }) => output)

  const needs = train.map((sequence) => needOf(sequence, tokens))
  const allNeeds = [...needs, ...held.map((sequence) => needOf(sequence, tokens))]
  const names = [...split.train, ...split.validation].map(({ task }) => task ?? '')
  const labels = held.length > 0 ? rowLabels(all, outputs, names, tokens.decoder, max_positions).slice(train.length) : []
  const longestTarget = held.reduce((most, { target }) => Math.max(most, target.length), 0)
  const counts = countSteps(job, train.length)
  const buckets = model.single_shape === true ? 1 : undefined
  const prepared = {
    layout,
    limits,
    tasks,
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
    shapes: new Shapes(allNeeds, max_positions, 0, buckets),
    score_shapes: new Shapes(allNeeds, max_positions, labelSlots(labels), buckets),
    batch_size: Math.min(job.batch_size, train.length),
    total_steps: counts.total_steps,
    schedule: scheduleOf(job, counts),
    truncated_sources: all.filter(({ truncated_source }) => truncated_source).length,
    truncated_targets: all.filter(({ truncated_target }) => truncated_target).length,
    longest: allNeeds.reduce((most, need) => Math.max(most, need.sequence_length, need.encoder_length), 0),
  }
  return { ...prepared, notices: noticesFor(job, prepared) }
}
