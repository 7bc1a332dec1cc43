/** Trying prompts: the input becomes tokens as in training, and transformers.js answers, with the prompt or without. */
import type { PromptRecord } from '../../src/library/prompt-record'
import type { GenerationPrompt } from '../../src/models/generate'
import type { Commands, Generation } from '../../src/protocol'
import { buildSource, templateOf, type SequenceLimits } from '../../src/tuning/sequences'
import { CommandError } from './failures'
import { maxPositions, tokenizerOf, type ModelRequest, type Models, type ReadyModel } from './models'
import { taskRows } from './prompt-tensors'
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
      const rows = prompt && generationPrompt(prompt, command.task)
      const { source_ids, room } = sourceFor(command, prompt, rows, model)
      return await this.services.generator.generate(
        { model: model.loaded, prompt: rows, source_ids, room, parameters: command.parameters },
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
      const model_file_name = prompt.job?.model_file_name ?? last?.model_file_name ?? ''
      return { base_model: prompt.base_model.id, model_dtype: prompt.base_model.model_dtype, model_file_name, allow_downloads }
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

/** The virtual tokens of a prompt, or of one of its tasks. @throws CommandError as taskRows */
function generationPrompt(record: PromptRecord, task: string | null): GenerationPrompt {
  const { id, num_virtual_tokens, base_model } = record
  const { encoder, decoder } = taskRows(record, task)
  return {
    id: task === null ? id : `${id} ${task}`,
    encoder,
    decoder,
    num_virtual_tokens,
    hidden_size: base_model.hidden_size,
  }
}

/** The input's tokens, and how many new ones the model still has positions for (the last one said needs none). */
function sourceFor(
  { verbalizer, input, parameters }: Commands['generate'],
  record: PromptRecord | null,
  prompt: GenerationPrompt | null,
  model: ReadyModel,
): { readonly source_ids: readonly number[]; readonly room: number | null } {
  const { kind } = model.loaded
  const { max_new_tokens, truncate_input_tokens } = parameters
  const max_positions = maxPositions(model)
  const tokensOf = (rows: Float32Array | null | undefined): number => (rows && prompt ? prompt.num_virtual_tokens : 0)
  const virtual_tokens = { encoder: tokensOf(prompt?.encoder), decoder: tokensOf(prompt?.decoder) }
  const left = max_positions === null ? Infinity : max_positions - virtual_tokens.decoder
  // At most half of a causal model's positions are kept for the answer, or a long one would leave none for the question.
  const reserved = Math.max(1, Math.min(max_new_tokens, Math.floor(left / 2)))
  const limits: SequenceLimits = {
    kind,
    max_source_length: truncate_input_tokens > 0 ? truncate_input_tokens : Infinity,
    max_target_length: 1,
    virtual_tokens,
    max_positions,
  }
  const template = templateOf(verbalizer ?? record?.job?.verbalizer ?? PLAIN)
  const { ids } = buildSource(template, input, limits, tokenizerOf(model.loaded), reserved)
  // An encoder-decoder's answer stands behind its start token alone.
  const before = kind === 'causal-lm' ? ids.length : 1
  return { source_ids: ids, room: max_positions === null ? null : Math.max(1, left - before + 1) }
}
