/**
 * What the tasks that the examples name mean for the settings: whether num_tasks fits them, and what to set it to. As
 * src/tuning/tasks.ts will judge it when the run starts. Pure.
 */
import type { Job } from '../../job/parameters'
import type { Problem } from '../../job/problem'
import { startsFromSource } from '../../library/source-fit'
import { count, plural } from './format'
import { nameList } from './prompt-facts'
import type { Values } from './job-values'

const TASKS = 'tuning_config.num_tasks'
/** num_tasks takes no more. */
const MOST_TASKS = 1000

export interface TaskAdvice {
  /** Names in alphabetical order, as the prompt will have them. */
  readonly names: readonly string[]
  /** Rows that name none. */
  readonly without: number
  /** What is to be said: what was found, and what it means for this job. */
  readonly text: string
  /** Settings to take over with one press; null when they are right, or nothing would help. */
  readonly offer: { readonly label: string; readonly values: Values } | null
}

/**
 * @param tasks rows of each task, those without one under ""; empty while no row has a task
 */
export function taskAdvice(job: Job, tasks: ReadonlyMap<string, number>): TaskAdvice {
  const names = [...tasks.keys()].filter((name) => name !== '').sort()
  const without = tasks.get('') ?? 0
  const found = `The examples name ${plural(names.length, 'task')}: ${nameList(names)}.`
  const several = names.length > 1 && names.length <= MOST_TASKS && without === 0
  const { num_tasks } = job.tuning_config

  if (job.tuning_type === 'PROMPT_TUNING') {
    const text = names.length > 1 ? `${found} A plain prompt learns them as if they were one task.` : ''
    if (!several || startsFromSource(job)) return { names, without, text, offer: null }
    const values = { tuning_type: 'MULTITASK_PROMPT_TUNING', [TASKS]: names.length }
    return { names, without, text, offer: { label: 'Tune a multitask prompt of them', values } }
  }
  if (startsFromSource(job) && num_tasks > 1) {
    const text = 'A source prompt is adapted to one task; more than one is for source training.'
    return { names, without, text, offer: setTasks(1) }
  }
  if (names.length === 0) {
    const none = 'The examples name no tasks'
    const text =
      num_tasks === 1
        ? `${none}: the prompt is adapted to them as one task.`
        : `${none}. Give each record a "task" (a column of that name, or one you choose at step 2).`
    return { names, without, text, offer: num_tasks === 1 ? null : setTasks(1) }
  }
  const missing =
    without > 0 ? ` ${plural(without, 'row')} ${without === 1 ? 'names' : 'name'} none; for several tasks every row has to.` : ''
  if (num_tasks === 1) {
    const text = names.length === 1 ? found : `${found}${missing} With num_tasks 1 they are learned as if they were one task.`
    return { names, without, text, offer: several && !startsFromSource(job) ? setTasks(names.length) : null }
  }
  const offer = names.length === num_tasks || (without === 0 && !several) ? null : setTasks(several ? names.length : 1)
  return { names, without, text: `${found}${missing}`, offer: without > 0 ? setTasks(1) : offer }
}

const setTasks = (n: number): TaskAdvice['offer'] => ({ label: `Set Tasks to ${n}`, values: { [TASKS]: n } })

/** The problem a run would stop with, at its field. Empty without examples: those are missed elsewhere. */
export function problemsOfTasks(job: Job, rows: number, tasks: ReadonlyMap<string, number>): readonly Problem[] {
  const { num_tasks } = job.tuning_config
  if (job.tuning_type === 'PROMPT_TUNING' || num_tasks === 1 || rows === 0) return []
  const names = [...tasks.keys()].filter((name) => name !== '')
  const without = tasks.size === 0 ? rows : (tasks.get('') ?? 0)
  if (without > 0) {
    const what = without === rows ? 'the examples name no task' : `${count(without)} of ${count(rows)} examples name no task`
    return [{ field: TASKS, message: `${num_tasks}, but ${what}; give every record a "task", or give 1` }]
  }
  if (names.length === num_tasks) return []
  const give = names.length <= MOST_TASKS ? `; give ${names.length}` : ''
  return [{ field: TASKS, message: `${num_tasks}, but the examples are of ${plural(names.length, 'task')}${give}` }]
}
