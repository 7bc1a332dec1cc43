/**
 * What the fields of a job mean for each other, one rule for each thing that can be wrong. A setting that contradicts another is a
 * problem; one that has no effect beside another is a notice, and the job runs. What depends on the model is in check-model.ts, what
 * depends on the examples or the library in src/tuning.
 */
import { show } from './json-value'
import { SOURCE_METHODS } from './parameters'
import type { Job } from './parameters'
import type { Problem } from './problem'
import { verbalizerProblem } from './verbalizer'

interface Findings {
  readonly problem: (field: string, message: string) => void
  readonly notice: (sentence: string) => void
}

interface Rule {
  /** The fields it looks at; it says nothing when one of them has no usable value. */
  readonly reads: readonly string[]
  readonly check: (job: Job, say: Findings) => void
}

const METHOD = 'tuning_config.prompt_tuning_init_method'
const TEXT = 'tuning_config.prompt_tuning_init_text'
const SOURCE = 'tuning_config.prompt_tuning_init_source_model'
const TASK = 'tuning_config.prompt_tuning_init_task'
const SCALE = 'tuning_config.random_scale'
const TOKENS = 'tuning_config.num_virtual_tokens'
const TASKS = 'tuning_config.num_tasks'
const RANKS = 'tuning_config.num_ranks'

/** Numbers in prefix_task_cols; beside them the optimizer's, the gradient's and the best prompt's copies. */
const MOST_FACTORS = 10_000_000

const isSource = (method: string): boolean => SOURCE_METHODS.some((one) => one === method)

/** Why a name could lead out of the library it is looked up in, or null. */
export function escapeProblem(path: string): string | null {
  if (path.split(/[\\/]/).includes('..')) return 'holds "..", which would leave the library'
  if (/^[\\/]|^[a-z]:[\\/]|^~[\\/]|^[a-z][\w+.-]*:\/\//i.test(path)) return 'is an absolute path or an address'
  if (/\p{Cc}/u.test(path)) return 'holds control characters'
  return null
}

const RULES: readonly Rule[] = [
  {
    reads: ['verbalizer'],
    check: (job, say) => {
      const why = verbalizerProblem(job.verbalizer)
      if (why !== null) say.problem('verbalizer', why)
    },
  },
  {
    reads: [METHOD, TEXT],
    check: ({ tuning_config: { prompt_tuning_init_method: method, prompt_tuning_init_text: text } }, say) => {
      if (method === 'TEXT' && text.trim() === '')
        say.problem(TEXT, `${show(text)} is not accepted with prompt_tuning_init_method "TEXT"; give the text to start from`)
    },
  },
  {
    reads: [METHOD, TEXT, 'baselines', 'baseline_text_prompt'],
    check: ({ tuning_config, baselines, baseline_text_prompt }, say) => {
      const { prompt_tuning_init_method: method, prompt_tuning_init_text: text } = tuning_config
      if (method === 'TEXT' || text === '') return
      const compared = baselines.includes('TEXT_PROMPT') && baseline_text_prompt === ''
      say.notice(
        `${TEXT} is ignored: prompt_tuning_init_method is "${method}", not "TEXT".` +
          (compared ? ' Only the comparison with a text prompt uses it.' : ''),
      )
    },
  },
  {
    reads: ['tuning_type', METHOD],
    check: ({ tuning_type, tuning_config: { prompt_tuning_init_method: method } }, say) => {
      if (!isSource(method)) return
      if (tuning_type === 'PROMPT_TUNING' && method !== 'SOURCE_PROMPT')
        say.problem(
          METHOD,
          `"${method}" is not accepted with tuning_type "PROMPT_TUNING"; give "SOURCE_PROMPT" to start from a prompt as it is, or set tuning_type to "MULTITASK_PROMPT_TUNING"`,
        )
      if (tuning_type === 'MULTITASK_PROMPT_TUNING' && method === 'SOURCE_PROMPT')
        say.problem(
          METHOD,
          '"SOURCE_PROMPT" is not accepted with tuning_type "MULTITASK_PROMPT_TUNING"; give "ONLY_SOURCE_SHARED", which takes the source as the part all tasks share',
        )
    },
  },
  {
    reads: [METHOD, SOURCE],
    check: ({ tuning_config }, say) => {
      const { prompt_tuning_init_method: method, prompt_tuning_init_source_model: source } = tuning_config
      if (isSource(method) && source.trim() === '')
        say.problem(
          SOURCE,
          `${show(source)} is not accepted with prompt_tuning_init_method "${method}"; give the id or name of the prompt in the library to start from`,
        )
      if (!isSource(method) && source !== '')
        say.notice(`${SOURCE} is ignored: prompt_tuning_init_method "${method}" starts from no other prompt.`)
    },
  },
  {
    reads: [METHOD, 'source_prompt_base'],
    check: ({ tuning_config: { prompt_tuning_init_method: method }, source_prompt_base }, say) => {
      if (!isSource(method) && source_prompt_base !== '')
        say.notice(`source_prompt_base is ignored: prompt_tuning_init_method "${method}" starts from no other prompt.`)
    },
  },
  {
    // Also where they are ignored: nobody means such a path.
    reads: [SOURCE],
    check: ({ tuning_config: { prompt_tuning_init_source_model: source } }, say) => {
      const why = escapeProblem(source)
      if (why !== null)
        say.problem(SOURCE, `${show(source)} is not accepted: it ${why}; give the id or name of a prompt in the library`)
    },
  },
  {
    reads: ['source_prompt_base'],
    check: ({ source_prompt_base: base }, say) => {
      const why = escapeProblem(base)
      if (why !== null)
        say.problem('source_prompt_base', `${show(base)} is not accepted: it ${why}; give a folder inside the library, or ""`)
    },
  },
  {
    // PEFT loads a source into a prompt of one task only (its three shapes have to agree).
    reads: ['tuning_type', METHOD, TASKS],
    check: ({ tuning_type, tuning_config: { prompt_tuning_init_method: method, num_tasks } }, say) => {
      if (tuning_type === 'MULTITASK_PROMPT_TUNING' && isSource(method) && method !== 'SOURCE_PROMPT' && num_tasks > 1)
        say.problem(
          TASKS,
          `${num_tasks} is not accepted with prompt_tuning_init_method "${method}", which adapts a source prompt to one task; give 1`,
        )
    },
  },
  {
    // Not just ignored: the examples are said to be of several tasks, and one plain prompt would be trained on their mixture.
    reads: ['tuning_type', TASKS],
    check: ({ tuning_type, tuning_config: { num_tasks } }, say) => {
      if (tuning_type === 'PROMPT_TUNING' && num_tasks > 1)
        say.problem(
          TASKS,
          `${num_tasks} is not accepted with tuning_type "PROMPT_TUNING", which learns one task; give 1, or set tuning_type to "MULTITASK_PROMPT_TUNING"`,
        )
    },
  },
  {
    reads: ['tuning_type', RANKS, TOKENS],
    check: ({ tuning_type, tuning_config: { num_ranks, num_virtual_tokens } }, say) => {
      if (num_ranks === 1) return
      if (tuning_type === 'PROMPT_TUNING') say.notice(`${RANKS} is ignored: only MULTITASK_PROMPT_TUNING has ranks.`)
      else if (num_ranks > num_virtual_tokens)
        say.notice(`${RANKS} ${num_ranks} is more than the ${num_virtual_tokens} virtual tokens; ranks beyond them add nothing.`)
    },
  },
  {
    // Its tensors alone would be gigabytes, which no hint about batch sizes would cure.
    reads: ['tuning_type', TASKS, RANKS, TOKENS],
    check: ({ tuning_type, tuning_config: { num_tasks, num_ranks, num_virtual_tokens } }, say) => {
      const factors = num_tasks * num_ranks * num_virtual_tokens
      if (tuning_type === 'MULTITASK_PROMPT_TUNING' && factors > MOST_FACTORS)
        say.problem(
          TASKS,
          `${num_tasks} x ${num_ranks} ranks x ${num_virtual_tokens} virtual tokens are ${factors} numbers of the tasks alone; give values whose product is at most ${MOST_FACTORS}`,
        )
    },
  },
  {
    reads: [METHOD, TASK],
    check: ({ tuning_config: { prompt_tuning_init_method: method, prompt_tuning_init_task: task } }, say) => {
      if (method !== 'EXACT_SOURCE_TASK' && method !== 'SOURCE_PROMPT' && task !== 0)
        say.notice(`${TASK} is ignored: prompt_tuning_init_method "${method}" takes no single task of a source prompt.`)
    },
  },
  {
    // The caikit preset sets the scale itself, so with it nobody asked for one.
    reads: ['tuning_type', METHOD, SCALE, 'preset'],
    check: ({ tuning_type, preset, tuning_config: { prompt_tuning_init_method: method, random_scale } }, say) => {
      if (random_scale === 'embedding') return
      // Unless they are a source's, multitask tuning draws the tasks' factors by it.
      if (tuning_type === 'MULTITASK_PROMPT_TUNING' && method !== 'AVERAGE_SOURCE' && method !== 'EXACT_SOURCE_TASK')
        say.notice(
          `${SCALE} "${random_scale}" draws the tasks' factors as PEFT does: the prompt starts about 2,500 times smaller than its rows. "embedding" starts it at their size.`,
        )
      else if (method !== 'RANDOM' && preset === null)
        say.notice(`${SCALE} is ignored: with prompt_tuning_init_method "${method}" no numbers are drawn.`)
    },
  },
  {
    reads: ['baselines', 'baseline_text_prompt'],
    check: ({ baselines, baseline_text_prompt }, say) => {
      if (baseline_text_prompt !== '' && !baselines.includes('TEXT_PROMPT'))
        say.notice('baseline_text_prompt is ignored: baselines has no "TEXT_PROMPT".')
    },
  },
  {
    reads: ['model_file_name'],
    check: ({ model_file_name: name }, say) => {
      if (!/^([\w-][\w.-]{0,95})?$/.test(name) || /\.onnx$|\.\./.test(name))
        say.problem(
          'model_file_name',
          `${show(name)} is not accepted; give the ONNX file's name without folder, dtype and .onnx, as "my-model" for onnx/my-model_q4.onnx`,
        )
    },
  },
  {
    reads: ['torch_dtype', 'model_dtype'],
    check: ({ torch_dtype, model_dtype }, say) => {
      if (torch_dtype === 'float32') return
      if (torch_dtype === 'bfloat16')
        say.notice('torch_dtype "bfloat16" falls back to "float32": every device here computes in float32.')
      else if (model_dtype === 'auto')
        say.notice('torch_dtype "float16" takes the model\'s fp16 file, if it has one; it is computed in float32.')
      else say.notice(`torch_dtype "float16" is ignored beside model_dtype "${model_dtype}", which names the file.`)
    },
  },
]

/**
 * @param job complete; fields named in `wrong` hold a stand-in, and no rule that reads one of them is applied
 * @returns all problems, at most one for a field, and sentences on what is accepted but has no effect
 */
export function checkRules(job: Job, wrong: ReadonlySet<string>): { problems: Problem[]; notices: string[] } {
  const problems: Problem[] = []
  const notices: string[] = []
  const unusable = (path: string): boolean => wrong.has(path) || (path.startsWith('tuning_config.') && wrong.has('tuning_config'))
  const say: Findings = {
    problem: (field, message) => problems.push({ field, message }),
    notice: (sentence) => notices.push(sentence),
  }
  for (const rule of RULES) if (!rule.reads.some(unusable)) rule.check(job, say)
  return { problems, notices }
}
