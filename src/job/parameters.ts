/**
 * The one schema of a tuning job: names as in caikit-nlp's "Prompt Tuning Parameters", with type, default, range and help.
 * It drives the form, the job file, the command line and the docs. It knows nothing of models or devices.
 */
import * as v from 'valibot'

const positive = v.pipe(v.number(), v.integer(), v.minValue(1))

export const TuningConfigSchema = v.strictObject({
  num_virtual_tokens: v.optional(positive, 20),
  prompt_tuning_init_method: v.optional(v.picklist(['RANDOM', 'TEXT', 'SAMPLE_VOCAB']), 'RANDOM'),
  prompt_tuning_init_text: v.optional(v.string()),
  random_scale: v.optional(v.picklist(['embedding', 'unit']), 'embedding'),
})

export const JobSchema = v.strictObject({
  base_model: v.string(),
  allow_downloads: v.optional(v.boolean(), true),
  tuning_type: v.optional(v.picklist(['PROMPT_TUNING']), 'PROMPT_TUNING'),
  num_epochs: v.optional(positive, 20),
  learning_rate: v.optional(v.union([v.literal('auto'), v.number()]), 'auto'),
  accumulate_steps: v.optional(positive, 1),
  batch_size: v.optional(positive, 8),
  verbalizer: v.optional(v.string(), '{{input}}'),
  max_source_length: v.optional(positive, 256),
  max_target_length: v.optional(positive, 128),
  device: v.optional(v.picklist(['auto', 'webgpu', 'wasm', 'cpu']), 'auto'),
  torch_dtype: v.optional(v.picklist(['float32', 'float16', 'bfloat16']), 'float32'),
  model_dtype: v.optional(v.picklist(['auto', 'fp32', 'fp16', 'q8', 'q4', 'q4f16', 'int8', 'uint8', 'bnb4']), 'auto'),
  silence_progress_bars: v.optional(v.boolean(), false),
  seed: v.optional(v.number(), 73),
  tuning_config: v.optional(TuningConfigSchema, {}),
  /** Fraction of the examples held out, when no validation examples are given. */
  validation: v.optional(v.number(), 0.2),
  early_stopping_patience: v.optional(v.nullable(positive), null),
  schedule: v.optional(v.picklist(['linear', 'cosine', 'constant']), 'linear'),
  warmup_steps: v.optional(v.pipe(v.number(), v.minValue(0)), 0),
  weight_decay: v.optional(v.pipe(v.number(), v.minValue(0)), 0.01),
  max_grad_norm: v.optional(v.nullable(v.number()), null),
  optimizer: v.optional(v.picklist(['adamw']), 'adamw'),
})

export type Job = v.InferOutput<typeof JobSchema>
