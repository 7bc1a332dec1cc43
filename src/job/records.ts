/** One training example: what goes in, what should come out. `task` names the task in multitask source training. */
export interface Example {
  readonly input: string
  readonly output: string
  readonly task?: string
}
