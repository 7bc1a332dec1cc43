/** Trying a prompt: one input, the untuned and the tuned model's answers side by side as they are written. */
import type { TunerClient } from '../../client'
import { isShown } from '../../job/field'
import type { PromptSummary } from '../../library/prompt-record'
import { checkGeneration } from '../../models/generation/check'
import { generationFields, type GenerationField } from '../../models/generation/parameters'
import { nestParameters } from '../../models/generation/text'
import type { Failure, Generation, GenerationParameters } from '../../protocol'
import { failureOf } from './failure'

/** One of the two answers. */
export class Answer {
  text = $state('')
  status = $state<'empty' | 'waiting' | 'writing' | 'done' | 'failed'>('empty')
  generation = $state.raw<Generation | null>(null)
  failure = $state.raw<Failure | null>(null)
  request: number | null = null

  readonly active: boolean = $derived(this.status === 'waiting' || this.status === 'writing')

  clear(): void {
    this.text = ''
    this.status = 'empty'
    this.generation = null
    this.failure = null
  }
}

const DEFAULTS: Readonly<Record<string, unknown>> = Object.fromEntries(
  generationFields().map((field) => [field.path, field.default]),
)

export class TrialState {
  /** Id of the prompt tried. */
  prompt = $state<string | null>(null)
  /** Which task of a prompt of several; null for one of one. */
  task = $state<string | null>(null)
  input = $state('')
  /** Parameters by path, as typed: not checked yet. */
  values = $state.raw<Readonly<Record<string, unknown>>>(DEFAULTS)
  readonly base = new Answer()
  readonly tuned = new Answer()
  /** The input the answers are about. */
  asked = $state<string | null>(null)

  readonly busy: boolean = $derived(this.base.active || this.tuned.active)
  /** Parameters that matter with the others as they are. */
  readonly fields: readonly GenerationField[] = $derived(
    generationFields().filter((field) => isShown(field, (path) => this.values[path])),
  )
  /** Only what is shown is sent, so that no problem hides in a field that is not there. */
  private readonly checked = $derived(
    checkGeneration(nestParameters(Object.fromEntries(this.fields.map(({ path }) => [path, this.values[path]])))),
  )
  /** null while a value is not accepted. */
  readonly parameters: GenerationParameters | null = $derived(this.checked.ok ? this.checked.parameters : null)
  readonly problems: Readonly<Record<string, string>> = $derived(
    Object.fromEntries(this.checked.ok ? [] : this.checked.problems.map(({ field, message }) => [field, message])),
  )
  private stopped = false

  constructor(private readonly client: TunerClient) {}

  set(path: string, value: unknown): void {
    this.values = { ...this.values, [path]: value }
  }

  /** Chooses a prompt and puts one of its held-out inputs in the box. */
  choose(prompt: PromptSummary | null): void {
    this.prompt = prompt?.id ?? null
    this.base.clear()
    this.tuned.clear()
    this.asked = null
    this.task = tasksOf(prompt)[0] ?? null
    const heldOut = prompt?.report?.tuned?.predictions[0]
    if (heldOut !== undefined) this.use(heldOut)
  }

  /** Puts a held-out row in the box: its input, and its task where there are several. */
  use(row: { readonly input: string; readonly task: string | null }): void {
    this.input = row.input
    if (this.task !== null && row.task !== null) this.task = row.task
  }

  /** Answers with the tuned and the untuned model. Each failure stays with its answer. */
  async run(prompt: PromptSummary): Promise<void> {
    const { parameters } = this
    if (this.busy || parameters === null) return
    this.stopped = false
    this.asked = this.input
    this.base.clear()
    this.tuned.clear()
    this.base.status = 'waiting'
    this.tuned.status = 'waiting'
    await Promise.all([this.answer(this.base, prompt, null, parameters), this.answer(this.tuned, prompt, prompt.id, parameters)])
  }

  async stop(): Promise<void> {
    this.stopped = true
    for (const answer of [this.base, this.tuned]) {
      if (!answer.active || answer.request === null) continue
      try {
        await this.client.request('stop_generating', { target: answer.request })
      } catch {
        // It ended by itself in the meantime.
      }
    }
  }

  private async answer(
    answer: Answer,
    { base_model, job }: PromptSummary,
    prompt: string | null,
    parameters: GenerationParameters,
  ): Promise<void> {
    const { input, task } = this
    const verbalizer = job?.verbalizer ?? null
    try {
      const payload = { prompt, task: prompt === null ? null : task, base_model: base_model.id, input, verbalizer, parameters }
      const pending = this.client.request('generate', payload, (progress) => {
        if (progress.type !== 'token' || this.stopped) return
        answer.status = 'writing'
        answer.text += progress.text
      })
      answer.request = pending.request
      const generation = await pending
      answer.generation = generation
      answer.text = generation.text
      answer.status = 'done'
    } catch (error) {
      answer.failure = failureOf(error)
      answer.status = 'failed'
    }
    answer.request = null
  }
}

/** Tasks to choose from: none where there is only one. */
export function tasksOf(prompt: PromptSummary | null): readonly string[] {
  const names = prompt?.multitask?.task_names ?? []
  return names.length < 2 ? [] : names
}
