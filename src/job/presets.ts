/**
 * Presets: sets of values that stand in for our defaults where the job gives none. `preset: "caikit"` also changes how sequences
 * are built, how accumulated gradients are weighed and what the schedule counts; that is in src/tuning, each beside what it replaces.
 */

interface Preset {
  /** What it changes that is no field, in a sentence. */
  readonly besides: string
  readonly job: Readonly<Record<string, unknown>>
  readonly tuning_config: Readonly<Record<string, unknown>>
}

/** By name; what they stand in for is documented from here. */
export const PRESETS: Readonly<Record<string, Preset>> = {
  /** The real defaults of caikit_nlp/modules/text_generation/peft_prompt_tuning.py (its docstring says otherwise). */
  caikit: {
    besides:
      'It also builds sequences, weighs the batches of an accumulation and counts the steps of the schedule as caikit-nlp does.',
    job: {
      num_epochs: 20,
      learning_rate: 0.3,
      batch_size: 8,
      accumulate_steps: 32,
      max_source_length: 256,
      max_target_length: 128,
      schedule: 'linear',
      warmup_steps: 0,
      weight_decay: 0.01,
      max_grad_norm: null,
      optimizer: 'adamw',
    },
    tuning_config: { prompt_tuning_init_method: 'RANDOM', random_scale: 'unit' },
  },
}

/** The job with its preset's values where it has none of its own; unchanged without a known preset. */
export function withPreset(job: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const preset = typeof job.preset === 'string' && Object.hasOwn(PRESETS, job.preset) ? PRESETS[job.preset] : undefined
  if (!preset) return { ...job }
  const own = job.tuning_config
  if (own !== undefined && (typeof own !== 'object' || own === null || Array.isArray(own))) return { ...preset.job, ...job }
  return { ...preset.job, ...job, tuning_config: { ...preset.tuning_config, ...own } }
}
