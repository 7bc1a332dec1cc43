/** The defaults as a setting, for a task: what a job that says nothing gets. */
import { AUTO_RATIO } from '../../src/tuning/learning-rate'
import { schemaDefaults, type Setting } from './settings'
import type { Task } from './tasks'

export function defaultsFor(task: Task): Setting {
  const { init, ...rest } = schemaDefaults()
  return { ...rest, ratio: AUTO_RATIO, init: task.source ? 'SOURCE' : init }
}
