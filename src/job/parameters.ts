/**
 * The one schema of a tuning job: names as in caikit-nlp's "Prompt Tuning Parameters", with type, default, range and help.
 * It drives the form (`fields`), the job file, the command line and the docs. It knows nothing of models or devices; what one
 * field means for another is in rules.ts.
 */
import * as v from 'valibot'
import { autoOrPositive, choice, choices, flag, infoOf, integer, number, optionalChoice, optionalInteger } from './field'
import { optionalPositive, requiredText, text } from './field'
import type { Condition, Field } from './field'
import { SOURCE_METHODS, startsFrom, TuningConfigSchema } from './tuning-config'

export { SOURCE_METHODS, TuningConfigSchema }

/** Far beyond any sensible job, near enough that a slip of the finger can't ask for endless work. */
const MANY = 1_000_000

const comparesWith = (baseline: string): Condition => ({ path: 'baselines', values: [baseline] })

export const JobSchema = v.object({
  base_model: requiredText({
    label: 'Base model',
    help: 'The language model to tune for: a Hugging Face hub id, an embedded model, or the name of a folder you dropped in. Its weights never change.',
    group: 'model',
    level: 'basic',
  }),
  allow_downloads: flag(true, {
    label: 'Allow downloads',
    help: 'Off: only embedded, dropped and already downloaded models are used, and nothing is asked of the network.',
    group: 'model',
    level: 'advanced',
  }),
  tuning_type: choice(['PROMPT_TUNING', 'MULTITASK_PROMPT_TUNING'], 'PROMPT_TUNING', {
    label: 'Tuning type',
    help: 'PROMPT_TUNING learns one prompt for one task. MULTITASK_PROMPT_TUNING learns a prompt that several tasks share and a small factor for each, or adapts such a prompt to a new task.',
    group: 'prompt',
    level: 'advanced',
  }),
  preset: optionalChoice(['caikit'], {
    label: 'Preset',
    help: "caikit: caikit-nlp's own defaults, learning-rate schedule and sequence building, for like-for-like runs. Fields you set keep your value.",
    group: 'training',
    level: 'advanced',
  }),
  num_epochs: integer(
    20,
    { min: 1, max: MANY },
    {
      label: 'Epochs',
      help: 'How many times the training goes through all examples.',
      group: 'training',
      level: 'basic',
    },
  ),
  learning_rate: autoOrPositive({
    label: 'Learning rate',
    help: "How far a step moves the prompt. auto fits it to the spread of the model's embeddings; lower it if the loss jumps, raise it if nothing moves.",
    group: 'training',
    level: 'basic',
  }),
  accumulate_steps: integer(
    1,
    { min: 1, max: MANY },
    {
      label: 'Accumulate steps',
      help: 'Batches whose gradients are added up before the prompt moves once. Acts like a larger batch without its memory.',
      group: 'training',
      level: 'basic',
    },
  ),
  batch_size: integer(
    8,
    { min: 1, max: MANY },
    {
      label: 'Batch size',
      help: 'Examples in one pass through the model. Larger is steadier and takes more memory.',
      group: 'training',
      level: 'basic',
    },
  ),
  verbalizer: text(
    '{{input}}',
    {
      label: 'Template',
      help: 'The text the model reads for an example; {{input}} stands for its input. Nothing is added between it and the answer, so end it the way the answer should follow, e.g. "Tweet: {{input}} Label:".',
      group: 'sequence',
      level: 'basic',
    },
    'text that holds {{input}} and no other placeholder',
  ),
  max_source_length: integer(
    256,
    { min: 1, max: MANY },
    {
      label: 'Longest source',
      help: 'In tokens. A longer source is cut at the end of its input; the template around it always stays whole.',
      group: 'sequence',
      level: 'advanced',
    },
  ),
  max_target_length: integer(
    128,
    { min: 1, max: MANY },
    {
      label: 'Longest target',
      help: 'In tokens, not counting the end-of-sequence token, which is always kept.',
      group: 'sequence',
      level: 'advanced',
    },
  ),
  device: choice(['auto', 'webgpu', 'wasm', 'cpu'], 'auto', {
    label: 'Device',
    help: 'auto takes the fastest that passes a self-test. wasm runs on the processor everywhere; cpu is the slow, plain reference.',
    group: 'run',
    level: 'advanced',
  }),
  torch_dtype: choice(['float32', 'float16', 'bfloat16'], 'float32', {
    label: 'Precision',
    help: "Precision of the model's weights. float16 takes the model's fp16 file where model_dtype is auto and there is one; bfloat16 falls back to float32. Every device here computes in float32, and so are prompt, gradient and optimizer.",
    group: 'model',
    level: 'advanced',
  }),
  model_dtype: choice(['auto', 'fp32', 'fp16', 'q8', 'q4', 'q4f16', 'int8', 'uint8', 'bnb4'], 'auto', {
    label: 'Model file',
    help: "Which of the model's ONNX files to use. Quantised ones (q8, q4, ...) are smaller and a little less exact.",
    group: 'model',
    level: 'advanced',
  }),
  model_file_name: text(
    '',
    {
      label: 'File name',
      help: "Name of a causal model's ONNX file, where it is not the usual one: my-model for onnx/my-model_q4.onnx. Empty: model, or decoder_model_merged, or the only name there is in a folder of yours.",
      group: 'model',
      level: 'advanced',
    },
    'a file name without folder, dtype and .onnx, or nothing',
  ),
  simulate_rounding: flag(true, {
    label: 'Round as deployed',
    help: 'Quantised files (q8, int8, uint8) round what flows through the model to 8 bits. On: tuning sees that rounding, as every later use of the prompt will. Off: it computes those layers exactly, and rows of a batch do not touch each other. No effect on other files.',
    group: 'model',
    level: 'advanced',
  }),
  silence_progress_bars: flag(false, {
    label: 'Silence progress',
    help: 'No progress bars or progress lines.',
    group: 'run',
    level: 'advanced',
  }),
  seed: integer(
    73,
    { min: 0, max: 2 ** 32 - 1 },
    {
      label: 'Seed',
      help: 'The same seed on the same device gives the same run, bit for bit.',
      group: 'run',
      level: 'advanced',
    },
  ),
  tuning_config: v.optional(TuningConfigSchema, {}),
  validation: number(
    0.2,
    { min: 0, max: 0.9 },
    {
      label: 'Held-out share',
      help: 'Share of the examples kept back to measure how well the prompt does on rows it never saw. 0 measures nothing and keeps the last prompt. Not used when you give validation examples of their own.',
      group: 'validation',
      level: 'basic',
    },
  ),
  early_stopping_patience: optionalInteger(
    { min: 1, max: MANY },
    {
      label: 'Early stopping',
      help: 'Stop after this many epochs without a better validation loss. Empty: run all epochs. The best prompt is kept either way.',
      group: 'validation',
      level: 'advanced',
    },
  ),
  schedule: choice(['linear', 'cosine', 'constant'], 'linear', {
    label: 'Schedule',
    help: 'How the learning rate falls over the run: in a straight line to 0, along a half cosine, or not at all.',
    group: 'training',
    level: 'advanced',
  }),
  warmup_steps: integer(
    0,
    { min: 0, max: MANY },
    {
      label: 'Warm-up steps',
      help: 'Optimizer steps over which the learning rate first rises from 0.',
      group: 'training',
      level: 'advanced',
    },
  ),
  weight_decay: number(
    0.01,
    { min: 0, max: 100 },
    {
      label: 'Weight decay',
      help: 'Pulls the prompt towards 0 a little with every step (decoupled, as in AdamW). 0 turns it off.',
      group: 'training',
      level: 'advanced',
    },
  ),
  max_grad_norm: optionalPositive({
    label: 'Gradient clipping',
    help: 'Longest gradient allowed (its norm); longer ones are scaled down. Empty: no clipping.',
    group: 'training',
    level: 'advanced',
  }),
  optimizer: choice(['adamw', 'adafactor'], 'adamw', {
    label: 'Optimizer',
    help: 'What turns gradients into steps: adamw, or adafactor as in the paper that introduced prompt tuning.',
    group: 'training',
    level: 'advanced',
  }),
  source_prompt_base: text(
    '',
    {
      label: 'Source prompt folder',
      help: 'The folder that the source prompt is looked up in: what its name in the library starts with. Empty: the whole library.',
      group: 'prompt',
      level: 'advanced',
      shown_when: [startsFrom(...SOURCE_METHODS)],
    },
    'a folder inside the library, or ""',
  ),
  baselines: choices(['UNTUNED', 'TEXT_PROMPT', 'FEW_SHOT'], ['UNTUNED', 'TEXT_PROMPT', 'FEW_SHOT'], {
    label: 'Compare with',
    help: 'What the tuned prompt is measured against on the held-out rows: the model as it is (UNTUNED), with an instruction in words in front (TEXT_PROMPT), or with solved examples in front (FEW_SHOT).',
    group: 'validation',
    level: 'advanced',
  }),
  baseline_text_prompt: text('', {
    label: 'Instruction to compare with',
    help: 'The words put in front of the source for TEXT_PROMPT. Empty: the starting text, if there is one; without either that comparison is left out.',
    group: 'validation',
    level: 'advanced',
    shown_when: [comparesWith('TEXT_PROMPT')],
  }),
  few_shot_examples: integer(
    4,
    { min: 1, max: 64 },
    {
      label: 'Solved examples',
      help: 'How many training examples FEW_SHOT puts in front; fewer where they do not fit.',
      group: 'validation',
      level: 'advanced',
      shown_when: [comparesWith('FEW_SHOT')],
    },
  ),
})

export type Job = v.InferOutput<typeof JobSchema>

/** "auto" that takes an fp16 file first: model_dtype "auto" beside torch_dtype "float16". It is no value of a job's own. */
export const AUTO_FLOAT16 = 'auto-float16'

/** Which file a job asks for: its model_dtype, or what torch_dtype makes of "auto". */
export const wantedFile = ({
  model_dtype,
  torch_dtype,
}: {
  readonly model_dtype: string
  readonly torch_dtype?: string
}): string => (model_dtype === 'auto' && torch_dtype === 'float16' ? AUTO_FLOAT16 : model_dtype)
export type TuningConfig = Job['tuning_config']

function collect(entries: Record<string, object>, prefix: string): Field[] {
  return Object.entries(entries).flatMap(([key, schema]) => {
    const info = infoOf(schema)
    return info ? [{ ...info, path: prefix + key }] : []
  })
}

const ALL: readonly Field[] = [...collect(JobSchema.entries, ''), ...collect(TuningConfigSchema.entries, 'tuning_config.')]

/** Every field of a job, in the order of the schema. The form is generated from it. */
export const fields = (): readonly Field[] => ALL

/** The job's own keys, and those inside tuning_config. */
export const JOB_KEYS: readonly string[] = Object.keys(JobSchema.entries)
export const TUNING_CONFIG_KEYS: readonly string[] = Object.keys(TuningConfigSchema.entries)
