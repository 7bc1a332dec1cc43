/** Trying prompts: the input becomes tokens as in training, and transformers.js answers, with the prompt or without. */
import type { PromptRecord } from '../../src/library/prompt-record'
import type { GenerationPrompt } from '../../src/models/generate'
import type { Commands, Generation } from '../../src/protocol'
import { buildSource, templateOf, type SequenceLimits } from '../../src/tuning/sequences'
import { CommandError } from './failures'
import { tokenizerOf, type ModelRequest, type Models, type ReadyModel } from './models'
import type { Report, Services } from './services'

const PLAIN = '{{input}}'

export class Trials {
  /** Generations asked for and not done, by request. */
  private readonly stops = new Map<number, AbortController>()

  /** Prompts whose model changed, which was said. */
  private readonly warned = new Set<string>()

  constructor(
    private readonly services: Services,
    private readonly models: Models,
  ) {}

  async generate(request: number, command: Commands['generate'], report: Report): Promise<Generation> {
    const stop = new AbortController()
    this.stops.set(request, stop)
    try {
      const prompt = command.prompt === null ? null : await this.services.prompts.get(command.prompt)
      const model = await this.models.prepare(this.requestFor(command.base_model, prompt), null, stop.signal)
      if (prompt) this.checkFits(prompt, model)
      const { ids, new_tokens } = sourceFor(command, prompt, model)
      return await this.services.generator.generate(
        {
          ...command.sampling,
          model: model.loaded,
          prompt: prompt && rowsOf(prompt),
          source_ids: ids,
          max_new_tokens: new_tokens,
        },
        (text) => report({ type: 'token', text }),
        stop.signal,
      )
    } finally {
      this.stops.delete(request)
    }
  }

  /** Ends a generation; one that is done already is none to end. */
  stop(target: number): void {
    this.stops.get(target)?.abort()
  }

  /** The prompt's own model and dtype; without a prompt what was last asked of that model, so that both answers come from one file. */
  requestFor(id: string, prompt: PromptRecord | null): ModelRequest {
    const last = this.models.lastRequest(prompt?.base_model.id ?? id)
    if (prompt) {
      const allow_downloads = last?.allow_downloads ?? prompt.job?.allow_downloads ?? false
      return { base_model: prompt.base_model.id, model_dtype: prompt.base_model.model_dtype, allow_downloads }
    }
    return last ?? { base_model: id, model_dtype: 'auto', allow_downloads: false }
  }

  /** @throws CommandError when the model has another shape than the one the prompt was made for */
  checkFits(prompt: PromptRecord, { loaded, cut }: ReadyModel): void {
    const { base_model } = prompt
    if (base_model.hidden_size !== cut.hidden_size) {
      throw new CommandError(
        'invalid',
        `"${prompt.name}" has rows of ${base_model.hidden_size} numbers, but the embeddings of ${loaded.id} have ${cut.hidden_size}`,
        'The model changed since. Tune the prompt again, or use the model it was made for.',
      )
    }
    if (base_model.file_sha256 !== loaded.sha256 && !this.warned.has(prompt.id)) {
      this.warned.add(prompt.id)
      this.services.warn(`"${prompt.name}" was made for another version of ${loaded.id}; it may work less well on this one.`)
    }
  }
}

const rowsOf = ({ id, rows, num_virtual_tokens, base_model }: PromptRecord): GenerationPrompt => ({
  id,
  rows,
  num_virtual_tokens,
  hidden_size: base_model.hidden_size,
})

/** The input's tokens, and how many new ones the model still has positions for. */
function sourceFor(
  { verbalizer, input, sampling }: Commands['generate'],
  prompt: PromptRecord | null,
  { loaded, cut }: ReadyModel,
) {
  const known = [cut.max_positions, loaded.max_positions].filter((limit) => limit !== null)
  const max_positions = known.length === 0 ? null : Math.min(...known)
  const num_virtual_tokens = prompt?.num_virtual_tokens ?? 0
  const room = max_positions === null ? Infinity : max_positions - num_virtual_tokens
  // At most half of the room is kept for the answer, or a long one would leave none for the question.
  const reserved = Math.max(1, Math.min(sampling.max_new_tokens, Math.floor(room / 2)))
  const limits: SequenceLimits = {
    max_source_length: prompt?.job?.max_source_length ?? Infinity,
    max_target_length: 1,
    kind: loaded.kind,
    virtual_tokens: { encoder: 0, decoder: num_virtual_tokens },
    max_positions,
  }
  const { ids } = buildSource(
    templateOf(verbalizer ?? prompt?.job?.verbalizer ?? PLAIN),
    input,
    limits,
    tokenizerOf(loaded),
    reserved,
  )
  return { ids, new_tokens: Math.min(sampling.max_new_tokens, Math.max(1, room - ids.length)) }
}
