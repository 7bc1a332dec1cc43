/**
 * Text from a model, through transformers.js' own generate(): what it reads, how the next token is picked, when it ends. One model is open at a
 * time (generation/runner.ts), and generations wait for each other.
 *
 * An encoder-decoder reads [encoder prompt, source] in its encoder; its decoder begins with [decoder prompt, decoder_start_token_id]. A causal
 * model goes on with [prompt, source]. All of it is attended to: batches have one row, so there is no padding, and every mask is ones.
 */
import { InterruptableStoppingCriteria, random, Tensor, TextStreamer, type PreTrainedModel } from '@huggingface/transformers'
import type { ModelCache } from './cache'
import type { GenerationParameters } from './generation/parameters'
import type { FinishReason, GenerationResult } from './generation/result'
import { openRunner, type GenerationPrompt, type Runner, type RunnerDevice } from './generation/runner'
import { AnswerWriter } from './generation/writer'
import type { LoadedModel } from './load'
import { logitsChanges, processors } from './sampling'

export type { GenerationPrompt } from './generation/runner'
export type { GenerationResult } from './generation/result'

export interface GenerationRequest {
  readonly model: LoadedModel
  /** null: the untuned model. */
  readonly prompt: GenerationPrompt | null
  /** The text's tokens, as in training; at least one. */
  readonly source_ids: readonly number[]
  readonly parameters: GenerationParameters
  /** New tokens the model still has positions for, at least one; null: as many as one likes. */
  readonly room: number | null
}

const DECODE = { skip_special_tokens: true }

/** What models set for themselves, put off: the parameters say all there is to say, as they do when the tuned prompt is measured. */
const NOT_THE_MODELS_OWN: object = {
  num_beams: 1,
  min_length: 0,
  no_repeat_ngram_size: 0,
  forced_eos_token_id: null,
  guidance_scale: null,
}

export class Generator {
  private open: Runner | null = null
  /** Generations and changes of the open model wait for each other. */
  private queue: Promise<unknown> = Promise.resolve()
  /** Generations and changes asked for and not done. */
  private waiting = 0

  constructor(
    private readonly cache: ModelCache,
    private readonly device: RunnerDevice = 'wasm',
  ) {}

  /**
   * Generates after everything asked for before is done. `onText` gets the text in pieces as it comes.
   * @throws what transformers.js or onnxruntime throw; GraphError when the prompt does not fit the model
   */
  generate(request: GenerationRequest, onText: (text: string) => void, stop: AbortSignal): Promise<GenerationResult> {
    return this.inTurn(() => this.run(request, onText, stop))
  }

  /** Frees the open model, after what runs. */
  dispose(): Promise<void> {
    return this.inTurn(() => this.close())
  }

  /** Frees the open model unless it is in use: its weights are a copy in onnxruntime's memory, which someone else is about to need. */
  async rest(): Promise<void> {
    if (this.waiting === 0) await this.dispose()
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.waiting++
    const turn = this.queue.then(work, work).finally(() => this.waiting--)
    this.queue = turn.catch(() => undefined)
    return turn
  }

  private async run(request: GenerationRequest, onText: (text: string) => void, stop: AbortSignal): Promise<GenerationResult> {
    if (stop.aborted) return cancelled(request)
    const runner = await this.opened(request.model, request.prompt)
    return stop.aborted ? cancelled(request) : answer(runner, request, onText, stop)
  }

  private async opened(model: LoadedModel, prompt: GenerationPrompt | null): Promise<Runner> {
    const { open } = this
    if (open?.model === model && (prompt === null || open.prompt?.id === prompt.id)) return open
    await this.close()
    this.open = await openRunner(this.cache, model, prompt, this.device)
    return this.open
  }

  private async close(): Promise<void> {
    const { open } = this
    this.open = null
    await open?.pretrained.dispose()
  }
}

const cancelled = ({ source_ids, parameters: { seed } }: GenerationRequest): GenerationResult => ({
  text: '',
  tokens: 0,
  input_tokens: source_ids.length,
  finish_reason: 'CANCELLED',
  seed,
  ms: 0,
})

async function answer(
  { pretrained, encoder_ids, decoder_ids }: Runner,
  request: GenerationRequest,
  onText: (text: string) => void,
  stop: AbortSignal,
): Promise<GenerationResult> {
  const { model, prompt, source_ids, parameters, room } = request
  const { tokenizer, decoder_start_token_id } = model
  const seq2seq = model.kind === 'seq2seq'
  const soft = { encoder: prompt?.encoder ? encoder_ids : [], decoder: prompt?.decoder ? decoder_ids : [] }
  const inputs = [...(seq2seq ? soft.encoder : soft.decoder), ...source_ids]
  const begin = seq2seq ? [...soft.decoder, decoder_start_token_id ?? tokenizer.eos_token_id] : null
  const started = performance.now()
  const follower = new Follower(request, eosIds(pretrained, tokenizer.eos_token_id), onText, started)
  const interrupt = follower.interrupt
  const onStop = (): void => interrupt.interrupt()
  stop.addEventListener('abort', onStop)
  const sampled = parameters.decoding_method === 'SAMPLING'
  // eslint-disable-next-line @typescript-eslint/no-unsafe-call -- `random` is typed any
  random.seed(parameters.seed)
  try {
    await pretrained.generate({
      ...NOT_THE_MODELS_OWN,
      inputs: int64(inputs),
      attention_mask: int64(inputs.map(() => 1)),
      ...(begin === null ? {} : { decoder_input_ids: int64(begin) }),
      max_new_tokens: Math.min(parameters.max_new_tokens, room ?? Infinity),
      min_new_tokens: parameters.min_new_tokens,
      do_sample: sampled,
      temperature: sampled ? parameters.temperature : 1,
      top_k: sampled ? parameters.top_k : 0,
      repetition_penalty: penaltyOf(parameters),
      eos_token_id: [...follower.eos_ids],
      logits_processor: processors(
        logitsChanges({
          parameters,
          eos_ids: follower.eos_ids,
          fed: begin?.length ?? inputs.length,
          // By itself transformers.js forces it only behind a lone start token.
          forced_first: soft.decoder.length > 0 && seq2seq ? ownId(pretrained, 'forced_bos_token_id') : null,
        }),
      ),
      stopping_criteria: interrupt,
      streamer: follower,
    })
  } finally {
    stop.removeEventListener('abort', onStop)
  }
  return follower.result(performance.now())
}

/** Watches the tokens come: hands the text out, counts, and says when it is enough and why. Of a TextStreamer it keeps only the type. */
class Follower extends TextStreamer {
  readonly interrupt = new InterruptableStoppingCriteria()
  private readonly writer: AnswerWriter
  private fed = false
  private tokens = 0
  private reason: FinishReason | null = null

  constructor(
    private readonly request: GenerationRequest,
    readonly eos_ids: readonly number[],
    private readonly onText: (text: string) => void,
    private readonly started: number,
  ) {
    super(request.model.pretrained_tokenizer)
    const { model, source_ids, parameters } = request
    const { tokenizer, kind } = model
    this.writer = new AnswerWriter({
      decode: (ids) => tokenizer.decode(ids, DECODE),
      input_ids: parameters.preserve_input_text && kind === 'causal-lm' ? source_ids : [],
      stop_sequences: parameters.stop_sequences,
      min_new_tokens: parameters.min_new_tokens,
    })
  }

  /** Called by generate(): first with what was fed, then with each token; the stopping criteria are asked right after. */
  override put([ids = []]: bigint[][]): void {
    if (!this.fed) {
      this.fed = true
      return
    }
    for (const id of ids) this.add(Number(id))
  }

  override end(): void {
    this.say(this.writer.end())
  }

  result(now: number): GenerationResult {
    const { source_ids, parameters, room } = this.request
    const { max_new_tokens, seed } = parameters
    const exhausted = this.tokens >= Math.min(max_new_tokens, room ?? Infinity)
    const limit = this.tokens >= max_new_tokens ? 'MAX_TOKENS' : 'TOKEN_LIMIT'
    return {
      text: this.writer.text,
      tokens: this.tokens,
      input_tokens: source_ids.length,
      finish_reason: this.reason ?? (exhausted ? limit : 'CANCELLED'),
      seed,
      ms: now - this.started,
    }
  }

  private add(id: number): void {
    const { max_time } = this.request.parameters
    this.tokens++
    if (this.eos_ids.includes(id)) {
      // What ends the answer is no part of it, be it a special token or not.
      this.reason = 'EOS_TOKEN'
      return
    }
    const { piece, stopped } = this.writer.add(id)
    this.say(piece)
    if (stopped) this.finish('STOP_SEQUENCE')
    else if (max_time !== null && performance.now() - this.started >= 1000 * max_time) this.finish('TIME_LIMIT')
  }

  private finish(reason: FinishReason): void {
    this.reason = reason
    this.interrupt.interrupt()
  }

  private say(piece: string): void {
    if (piece !== '') this.onText(piece)
  }
}

const int64 = (values: readonly number[]): Tensor => new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length])

/** 0 stands for no penalty, as upstream. */
const penaltyOf = ({ repetition_penalty }: GenerationParameters): number => (repetition_penalty === 0 ? 1 : repetition_penalty)

/** What a model's own generation_config.json or config.json says of itself. */
function own(pretrained: PreTrainedModel, key: string): unknown {
  const settings: unknown = pretrained.generation_config
  const first: unknown = typeof settings === 'object' && settings !== null ? Reflect.get(settings, key) : undefined
  return first ?? Reflect.get(pretrained.config, key)
}

function ownId(pretrained: PreTrainedModel, key: string): number | null {
  const id = own(pretrained, key)
  return typeof id === 'number' && Number.isSafeInteger(id) ? id : null
}

/** All tokens that end an answer: the model's own, and the one training put behind every target. */
function eosIds(pretrained: PreTrainedModel, trained: number): number[] {
  const named = own(pretrained, 'eos_token_id')
  const ids = (Array.isArray(named) ? named : [named]).filter((id): id is number => Number.isSafeInteger(id))
  return [...new Set([...ids, trained])]
}
