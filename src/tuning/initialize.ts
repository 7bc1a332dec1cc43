/**
 * The trained numbers before training: virtual tokens RANDOM, TEXT or SAMPLE_VOCAB as PEFT's tuners/prompt_tuning/model.py makes them,
 * CLASS_LABELS as Lester et al. 2021 do, or those of another prompt; and the factors of multitask prompts as
 * tuners/multitask_prompt_tuning/model.py does, but for their scale.
 *
 * PEFT draws the factors C and R from N(0, 0.02^2). Their product then scales every row by about 4e-4: whatever the rows started from is
 * erased, and the gradient of the rows with it. Here C and R start near one, so that a fresh multitask prompt starts as its rows are;
 * random_scale "unit", which is PEFT's scale everywhere, keeps theirs.
 */
import type { FrozenModel, Stack } from '../engine/frozen-model'
import type { Job, TuningConfig } from '../job/parameters'
import { taskFactors } from '../library/multitask'
import type { MultitaskTensors } from '../library/multitask'
import { startsFromSource } from '../library/source-fit'
import { TuningError } from './errors'
import { Random } from './random'
import { parameterCount, tensorViews } from './soft-prompt'
import type { PromptLayout } from './soft-prompt'
import type { Tokenizer } from './tokenizer'

/** Spread of a multitask prompt's fresh factors, as in PEFT. */
const FACTOR_STD = 0.02

/** The prompt that source methods start from. It has the run's shape, but for its number of tasks; one without factors has none. */
export interface SourcePrompt extends MultitaskTensors {
  /** 0: PROMPT_TUNING. */
  readonly num_tasks: number
}

export interface InitialInputs {
  readonly layout: PromptLayout
  readonly model: FrozenModel
  readonly tokenizer: Tokenizer
  /** The training examples' outputs. */
  readonly outputs: readonly string[]
  /** Read by the source methods alone. */
  readonly source: SourcePrompt | null
}

/** `ids` repeated as often as needed and cut to `n`. */
export const tiled = (ids: readonly number[], n: number): number[] =>
  Array.from({ length: n }, (_, i) => ids[i % ids.length] ?? 0)

/**
 * All parameters, in the layout's order.
 * @throws TuningError when TEXT has no tokens, or a source method has no source.
 */
export function initialParameters(job: Pick<Job, 'tuning_config' | 'seed'>, inputs: InitialInputs): Float32Array {
  const { layout } = inputs
  const parameters = new Float32Array(parameterCount(layout))
  const views = tensorViews(layout, parameters)
  const { prompt_tuning_init_method: method, random_scale } = job.tuning_config
  const source = startsFromSource(job) ? requireSource(inputs.source, method) : null
  views.prompt_embeddings.set(source ? sourceRows(source, method, job) : freshRows(job, inputs))
  if (layout.tuning_type === 'MULTITASK_PROMPT_TUNING') {
    if (source && (method === 'AVERAGE_SOURCE' || method === 'EXACT_SOURCE_TASK')) copyFactors(source, method, job, views)
    else freshFactors(views, layout, job.seed, random_scale === 'unit' ? 0 : source ? Math.sqrt(factorScale(source)) : 1)
  }
  return parameters
}

type Method = TuningConfig['prompt_tuning_init_method']
function requireSource(source: SourcePrompt | null, method: string): SourcePrompt {
  if (source) return source
  throw new TuningError(
    `prompt_tuning_init_method "${method}" needs a source prompt, and none was given.`,
    'Choose a prompt of the library, or start from RANDOM.',
  )
}

/** Rows to start from that are made here, stack after stack: [M * n, H]. */
function freshRows({ tuning_config: config, seed }: Pick<Job, 'tuning_config' | 'seed'>, inputs: InitialInputs): Float32Array {
  const { layout, model } = inputs
  const { num_virtual_tokens: n, hidden_size: H } = layout
  const random = new Random(seed, 'prompt')
  const rows = new Float32Array(layout.stacks.length * n * H)
  if (config.prompt_tuning_init_method === 'RANDOM') {
    const std = config.random_scale === 'unit' ? 1 : model.embedding_std
    return rows.map(() => std * random.normal())
  }
  layout.stacks.forEach((stack, i) => rows.set(stackRows(config, stack, inputs, random), i * n * H))
  return rows
}

/** Rows made of the model's own embeddings: n of one stack. */
function stackRows(config: TuningConfig, stack: Stack, inputs: InitialInputs, random: Random): Float32Array {
  const { layout, model, tokenizer, outputs } = inputs
  const { num_virtual_tokens: n, hidden_size: H } = layout
  const drawn = (count: number): Float32Array =>
    model.embed(
      Array.from({ length: count }, () => random.below(model.vocab_size)),
      stack,
    )
  switch (config.prompt_tuning_init_method) {
    case 'TEXT': {
      const ids = tokenizer.encode(config.prompt_tuning_init_text, { add_special_tokens: true })
      if (ids.length === 0)
        throw new TuningError(
          'tuning_config.prompt_tuning_init_text has no tokens.',
          'Give a text the model can read, or start from RANDOM.',
        )
      return model.embed(tiled(ids, n), stack).slice()
    }
    case 'CLASS_LABELS': {
      const labels = [...new Set(outputs)].slice(0, n)
      const means = labels.flatMap((label) => [...meanEmbedding(label, stack, model, tokenizer)])
      const rows = new Float32Array(n * H)
      rows.set(means)
      rows.set(drawn(n - labels.length), means.length)
      return rows
    }
    default:
      return drawn(n).slice()
  }
}

/** The mean of a label's token embeddings, special tokens left out. A label without tokens is the zero row. */
function meanEmbedding(label: string, stack: Stack, model: FrozenModel, tokenizer: Tokenizer): Float32Array {
  const ids = tokenizer.encode(label, { add_special_tokens: false })
  const embeddings = model.embed(ids, stack)
  const H = model.hidden_size
  return Float32Array.from({ length: H }, (_, h) => {
    let sum = 0
    for (let i = 0; i < ids.length; i++) sum += embeddings[i * H + h] ?? NaN
    return sum / Math.max(1, ids.length)
  })
}

/** The shared rows of the source; for a prompt without factors of its own, those of one of the source's tasks. */
function sourceRows(source: SourcePrompt, method: Method, { tuning_config }: Pick<Job, 'tuning_config'>): Float32Array {
  if (method !== 'SOURCE_PROMPT' || source.num_tasks === 0) return source.prompt_embeddings
  const factors = taskFactors(source, tuning_config.prompt_tuning_init_task)
  return source.prompt_embeddings.map((value, i) => value * (factors[i] ?? NaN))
}

/** AVERAGE_SOURCE: the mean of the source tasks' C, and of their R (not of their products), as PEFT does. EXACT_SOURCE_TASK: one task's. */
function copyFactors(
  source: SourcePrompt,
  method: Method,
  { tuning_config }: Pick<Job, 'tuning_config'>,
  into: MultitaskTensors,
): void {
  const copy = (from: Float32Array, to: Float32Array): void => {
    const task = tuning_config.prompt_tuning_init_task
    if (method === 'EXACT_SOURCE_TASK') to.set(from.subarray(task * to.length, (task + 1) * to.length))
    else {
      to.forEach((_, i) => {
        let sum = 0
        for (let t = 0; t < source.num_tasks; t++) sum += from[t * to.length + i] ?? NaN
        to[i] = sum / source.num_tasks
      })
    }
  }
  copy(source.prefix_task_cols, into.prefix_task_cols)
  copy(source.prefix_task_rows, into.prefix_task_rows)
}

/** The root mean square of the source's W over all its tasks: the scale its shared rows were trained to be multiplied with. */
function factorScale(source: SourcePrompt): number {
  let squares = 0
  let count = 0
  for (let task = 0; task < source.num_tasks; task++) {
    for (const factor of taskFactors(source, task)) {
      squares += factor * factor
      count += 1
    }
  }
  return count === 0 ? 1 : Math.sqrt(squares / count)
}

/** C and R of every task around `center` in the first rank (so that W is around its square), around 0 in the others. */
function freshFactors(
  { prefix_task_cols, prefix_task_rows, hidden_size }: MultitaskTensors,
  { num_ranks }: PromptLayout,
  seed: number,
  center: number,
): void {
  const random = new Random(seed, 'task factors')
  prefix_task_cols.forEach((_, i) => {
    prefix_task_cols[i] = (i % num_ranks === 0 ? center : 0) + FACTOR_STD * random.normal()
  })
  prefix_task_rows.forEach((_, i) => {
    const rank = Math.floor(i / hidden_size) % num_ranks
    prefix_task_rows[i] = (rank === 0 ? center : 0) + FACTOR_STD * random.normal()
  })
}
