/** Trying a prompt: one input, the untuned and the tuned model's answers side by side as they are written. */
import type { TunerClient } from '../../client'
import type { PromptSummary } from '../../library/prompt-record'
import type { Failure, Generation, Sampling } from '../../protocol'
import { failureOf } from './failure'

export const GREEDY: Sampling = {
  max_new_tokens: 24,
  do_sample: false,
  temperature: 0.8,
  top_k: 50,
  top_p: 0.95,
  repetition_penalty: 1,
  seed: 73,
}

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

export class TrialState {
  /** Id of the prompt tried. */
  prompt = $state<string | null>(null)
  input = $state('')
  sampling = $state.raw<Sampling>(GREEDY)
  readonly base = new Answer()
  readonly tuned = new Answer()
  /** The input the answers are about. */
  asked = $state<string | null>(null)

  readonly busy: boolean = $derived(this.base.active || this.tuned.active)
  private stopped = false

  constructor(private readonly client: TunerClient) {}

  /** Chooses a prompt and puts one of its held-out inputs in the box. */
  choose(prompt: PromptSummary | null): void {
    this.prompt = prompt?.id ?? null
    this.base.clear()
    this.tuned.clear()
    this.asked = null
    const heldOut = prompt?.report?.tuned?.predictions[0]?.input
    if (heldOut !== undefined) this.input = heldOut
  }

  /** Answers with the tuned and the untuned model. Each failure stays with its answer. */
  async run(prompt: PromptSummary): Promise<void> {
    if (this.busy) return
    this.stopped = false
    this.asked = this.input
    this.base.clear()
    this.tuned.clear()
    this.base.status = 'waiting'
    this.tuned.status = 'waiting'
    await Promise.all([this.answer(this.base, prompt, null), this.answer(this.tuned, prompt, prompt.id)])
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

  private async answer(answer: Answer, prompt: PromptSummary, id: string | null): Promise<void> {
    const { sampling, input } = this
    const payload = { prompt: id, base_model: prompt.base_model.id, input, verbalizer: prompt.job?.verbalizer ?? null, sampling }
    try {
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
