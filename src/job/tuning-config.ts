/**
 * The part of the job's schema that says what the prompt is: caikit-nlp's TuningConfig, with PEFT's names where caikit has none. The rest
 * of the schema is in parameters.ts.
 */
import * as v from 'valibot'
import { choice, integer, optionalChoices, promptName, text } from './field'
import type { Condition } from './field'

/** Tasks and ranks multiply the size of a prompt. Far more than anyone uses; what all of them together may be is in rules.ts. */
const SEVERAL = 1000

/** The ways to start from a prompt of the library. All but the first are of multitask tuning. */
export const SOURCE_METHODS = ['SOURCE_PROMPT', 'AVERAGE_SOURCE', 'ONLY_SOURCE_SHARED', 'EXACT_SOURCE_TASK'] as const
const INIT_METHODS = ['RANDOM', 'TEXT', 'SAMPLE_VOCAB', 'CLASS_LABELS', ...SOURCE_METHODS] as const

const single: Condition = { path: 'tuning_type', values: ['PROMPT_TUNING'] }
const multitask: Condition = { path: 'tuning_type', values: ['MULTITASK_PROMPT_TUNING'] }
export const startsFrom = (...values: readonly (typeof INIT_METHODS)[number][]): Condition => ({
  path: 'tuning_config.prompt_tuning_init_method',
  values,
})

export const TuningConfigSchema = v.object({
  num_virtual_tokens: integer(
    20,
    { min: 1, max: 10_000 },
    {
      label: 'Virtual tokens',
      help: 'How many trainable rows stand in front of the text. 8 to 20 are usually enough; more than 100 rarely help.',
      group: 'prompt',
      level: 'basic',
    },
  ),
  prompt_tuning_init_method: choice(INIT_METHODS, 'RANDOM', {
    label: 'Start from',
    help: 'What the virtual tokens are before training. RANDOM: random numbers. TEXT: the embeddings of a text that describes the task. SAMPLE_VOCAB: those of tokens drawn from the vocabulary. CLASS_LABELS: a row for each distinct output, the mean of its token embeddings, and drawn tokens for the rest. SOURCE_PROMPT: a prompt of the library. Multitask: AVERAGE_SOURCE takes the shared part of a multitask prompt and the mean of its tasks, EXACT_SOURCE_TASK the shared part and one of its tasks, ONLY_SOURCE_SHARED the shared part alone.',
    group: 'prompt',
    level: 'basic',
    options_when: {
      SOURCE_PROMPT: single,
      AVERAGE_SOURCE: multitask,
      ONLY_SOURCE_SHARED: multitask,
      EXACT_SOURCE_TASK: multitask,
    },
    // caikit-nlp's code has this name, its document the shorter one.
    aliases: { AVERAGE_SOURCE_TASKS: 'AVERAGE_SOURCE' },
  }),
  prompt_tuning_init_text: text('', {
    label: 'Starting text',
    help: 'Its tokens become the first virtual tokens, repeated or cut to their number. Say what the task is, as you would to a person.',
    group: 'prompt',
    level: 'basic',
    shown_when: [startsFrom('TEXT')],
  }),
  prompt_tuning_init_source_model: promptName({
    label: 'Source prompt',
    help: 'The prompt to start from: its id or name in the library, relative to source_prompt_base. It must be of the same base model, with as many virtual tokens (and ranks) as this one.',
    group: 'prompt',
    level: 'basic',
    shown_when: [startsFrom(...SOURCE_METHODS)],
  }),
  prompt_tuning_init_task: integer(
    0,
    { min: 0, max: SEVERAL - 1 },
    {
      label: 'Source task',
      help: 'Which task of a multitask source prompt EXACT_SOURCE_TASK and SOURCE_PROMPT start from; the first is 0.',
      group: 'prompt',
      level: 'basic',
      shown_when: [startsFrom('EXACT_SOURCE_TASK', 'SOURCE_PROMPT')],
    },
  ),
  random_scale: choice(['embedding', 'unit'], 'embedding', {
    label: 'Random scale',
    help: "How far RANDOM numbers spread: like the model's own embeddings, or with standard deviation 1 as PEFT draws them (often far too wide). Multitask: unit also draws the tasks' factors as PEFT does, so that a prompt starts about 2,500 times too small, whatever it starts from; with embedding the factors start near 1 and the prompt as it is meant.",
    group: 'prompt',
    level: 'advanced',
    shown_when: [startsFrom('RANDOM')],
  }),
  num_tasks: integer(
    1,
    { min: 1, max: SEVERAL },
    {
      label: 'Tasks',
      help: 'How many tasks the examples are of; with more than one, every record names its own in "task". 1 adapts to one task, from a source prompt if you name one.',
      group: 'prompt',
      level: 'advanced',
      shown_when: [multitask],
    },
  ),
  num_ranks: integer(
    1,
    { min: 1, max: SEVERAL },
    {
      label: 'Ranks',
      help: "Rank of each task's own part of the prompt. 1 is what the method's authors use; more lets the tasks differ more.",
      group: 'prompt',
      level: 'advanced',
      shown_when: [multitask],
    },
  ),
  output_model_types: optionalChoices(['ENCODER', 'DECODER'], {
    label: 'Prompt goes to',
    help: 'Which part of the model gets the virtual tokens. A causal language model has only a DECODER; a sequence-to-sequence model takes them in the ENCODER, the DECODER or both, each with its own. Empty: DECODER for a causal model, ENCODER for the other.',
    group: 'prompt',
    level: 'advanced',
  }),
})
