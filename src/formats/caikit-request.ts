/**
 * A job as a train request for caikit's runtime (caikit-nlp's peft_prompt_tuning module), and what of the job has no counterpart
 * there. Field names are those of its TextGenerationTaskPeftPromptTuningTrainRequest and TrainParameters.
 *
 * What upstream does with each field: caikit-nlp caikit_nlp/modules/text_generation/{peft_prompt_tuning,peft_config}.py.
 */
import type { Job } from '../job/parameters'
import type { Example } from '../job/records'
import type { ModelKind, OutputModelType } from './prompt-tensors'

export interface CaikitRequestInput {
  readonly job: Job
  readonly kind: ModelKind
  readonly output_model_types: readonly OutputModelType[]
  /** null: not known; upstream then takes its own 0.3. */
  readonly learning_rate: number | null
  readonly model_name: string
  readonly train: readonly Example[]
  /** Where the rows are when they are too many to stand in the request. */
  readonly train_file: string
  /** The source prompt's file, if the job starts from one. */
  readonly source_file: string | null
}

/** Rows in the request itself; more are left in their file. */
const MOST_INLINE_ROWS = 1000

const INIT_METHODS: Readonly<Record<string, string>> = {
  TEXT: 'TEXT',
  RANDOM: 'RANDOM',
  ONLY_SOURCE_SHARED: 'ONLY_SOURCE_SHARED',
  AVERAGE_SOURCE: 'AVERAGE_SOURCE_TASKS',
}

export function caikitTrainRequest(input: CaikitRequestInput): Record<string, unknown> {
  const { job, kind, learning_rate, model_name, train, train_file, source_file } = input
  const { tuning_config: config } = job
  const method = INIT_METHODS[config.prompt_tuning_init_method] ?? 'RANDOM'
  const inline = train.length <= MOST_INLINE_ROWS
  const data = train.map(({ input: text, output }) => ({ input: text, output }))
  return {
    model_name,
    parameters: {
      base_model: job.base_model,
      train_stream: inline ? { jsondata: { data } } : { file: { filename: train_file } },
      tuning_config: {
        num_virtual_tokens: config.num_virtual_tokens,
        prompt_tuning_init_method: method,
        ...(method === 'TEXT' ? { prompt_tuning_init_text: config.prompt_tuning_init_text } : {}),
        ...(/SOURCE/.test(method) && source_file !== null ? { prompt_tuning_init_source_model: source_file } : {}),
        output_model_types: [kind === 'seq2seq' ? 'ENCODER' : 'DECODER'],
      },
      tuning_type: job.tuning_type,
      num_epochs: job.num_epochs,
      ...(learning_rate === null ? {} : { learning_rate }),
      verbalizer: job.verbalizer,
      batch_size: job.batch_size,
      max_source_length: job.max_source_length,
      max_target_length: job.max_target_length,
      accumulate_steps: job.accumulate_steps,
      torch_dtype: job.torch_dtype,
      silence_progress_bars: job.silence_progress_bars,
      seed: job.seed,
    },
  }
}

/** What of this job caikit-nlp does not do, or does otherwise: sentences for people. */
export function caikitDifferences(input: CaikitRequestInput & { readonly has_validation: boolean }): string[] {
  const { job, kind, output_model_types, learning_rate, has_validation } = input
  const { tuning_config: config } = job
  const method = config.prompt_tuning_init_method
  const said: string[] = []
  const note = (holds: boolean, sentence: string) => {
    if (holds) said.push(sentence)
  }
  note(learning_rate === null, '`learning_rate` is left out, since "auto" is not resolved: caikit-nlp then takes 0.3.')
  note(
    has_validation,
    'The validation rows are not sent: with a `val_stream` caikit-nlp fails after the first epoch. It keeps the last prompt, not the best.',
  )
  note(job.early_stopping_patience !== null, '`early_stopping_patience` has no counterpart; all epochs run.')
  note(!Object.hasOwn(INIT_METHODS, method), `It does not know the init method ${method}; the request says RANDOM.`)
  note(
    method === 'RANDOM' && config.random_scale !== 'unit',
    'Its RANDOM draws with standard deviation 1, not at the scale of the embeddings.',
  )
  note(
    kind === 'seq2seq' && output_model_types.includes('DECODER'),
    'It has prompts in front of the encoder only; the request asks for that, not for the decoder.',
  )
  const multitask = job.tuning_type === 'MULTITASK_PROMPT_TUNING'
  note(multitask, 'Its fresh factors are so small that the prompt starts near zero (PEFT draws them so).')
  note(multitask && config.num_tasks > 1, '`num_tasks` has no counterpart: all rows are trained as one task.')
  note(multitask && config.num_ranks > 1, '`num_ranks` has no counterpart: the rank is 1.')
  note(job.optimizer !== 'adamw', `\`optimizer\` ${job.optimizer} has no counterpart: it uses AdamW.`)
  note(job.weight_decay !== 0.01, `\`weight_decay\` has no counterpart: it is 0.01.`)
  note(job.schedule !== 'linear' || job.warmup_steps > 0, 'Its schedule is linear without warm-up.')
  note(job.max_grad_norm !== null, '`max_grad_norm` has no counterpart: gradients are not clipped.')
  if (job.preset !== 'caikit') {
    said.push(
      'It cuts a source that is too long at its end, template included, and can lose the end-of-sequence token of a long target.',
    )
    note(
      job.accumulate_steps > 1,
      'Its accumulated batches weigh the same however many tokens they have, and its learning rate hardly falls (the schedule counts batches).',
    )
  }
  note(!/^[-a-zA-Z_0-9/.]+$/.test(job.base_model), `It refuses the characters in the name "${job.base_model}".`)
  return said
}
