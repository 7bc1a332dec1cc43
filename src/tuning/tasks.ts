/** The tasks of a job's examples: which there are, and which of them a row belongs to. Knows names, not prompts. */
import type { Job } from '../job/parameters'
import type { Example } from '../job/records'
import { TuningError } from './errors'

/** Shown at most, in messages. */
const NAMES_SHOWN = 8

export interface Tasks {
  /** In the order of a multitask prompt's tensors (alphabetical). One name where nothing tells tasks apart. */
  readonly names: readonly string[]
  indexOf(example: Example): number
}

/** The name of the one task of a prompt that knows no tasks. */
const SINGLE = 'task'

const listed = (names: readonly string[]): string =>
  names
    .slice(0, NAMES_SHOWN)
    .map((name) => JSON.stringify(name.slice(0, 40)))
    .join(', ') + (names.length > NAMES_SHOWN ? ', ...' : '')

/**
 * @throws TuningError when source training (num_tasks above 1) has rows without a task, another number of tasks, or validation rows of a task
 *   that is not trained.
 */
export function tasksOf(job: Job, train: readonly Example[], validation: readonly Example[]): Tasks {
  const { num_tasks } = job.tuning_config
  if (job.tuning_type === 'PROMPT_TUNING' || num_tasks === 1) {
    const named = [...new Set(train.flatMap(({ task }) => (task === undefined ? [] : [task])))]
    const [only] = named
    return { names: [named.length === 1 && only !== undefined ? only : SINGLE], indexOf: () => 0 }
  }
  const missing = [...train, ...validation].filter(({ task }) => task === undefined).length
  if (missing > 0) {
    throw new TuningError(
      `tuning_config.num_tasks is ${num_tasks}, but ${missing} examples do not say which task they belong to.`,
      'Give every record a "task", or set num_tasks to 1.',
    )
  }
  const names = [...new Set(train.flatMap(({ task }) => task ?? []))].sort()
  if (names.length !== num_tasks) {
    throw new TuningError(
      `tuning_config.num_tasks is ${num_tasks}, but the training examples are of ${names.length} tasks: ${listed(names)}.`,
      `Set num_tasks to ${names.length}, or change the examples.`,
    )
  }
  const index = new Map(names.map((name, i) => [name, i]))
  const strange = [...new Set(validation.flatMap(({ task }) => (task === undefined || index.has(task) ? [] : [task])))]
  if (strange.length > 0) {
    throw new TuningError(
      `The validation examples are also of ${listed(strange)}, which no training example is of.`,
      'Leave those rows out, or add training examples of that task.',
    )
  }
  return { names, indexOf: ({ task }) => index.get(task ?? '') ?? 0 }
}
