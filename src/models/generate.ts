/**
 * Text from a model, through transformers.js' own generate(). The session runs the model with the prompt baked in; since baking leaves
 * plain ids alone, it also answers for the untuned model, without the virtual tokens. One session lives at a time.
 */
import {
  AutoModelForCausalLM,
  InterruptableStoppingCriteria,
  LogitsProcessorList,
  random,
  Tensor,
  TextStreamer,
  type PreTrainedModel,
} from '@huggingface/transformers'
import { bakePrompt, type PromptRows } from '../graph/bake'
import type { ModelCache } from './cache'
import type { LoadedModel } from './load'
import { NucleusProcessor, type Sampling } from './sampling'

export interface GenerationPrompt extends PromptRows {
  /** Tells prompts apart. */
  readonly id: string
}

export interface GenerationRequest extends Sampling {
  readonly model: LoadedModel
  /** null: the untuned model. */
  readonly prompt: GenerationPrompt | null
  /** The text's tokens, as in training; at least one. */
  readonly source_ids: readonly number[]
}

export interface GenerationResult {
  readonly text: string
  readonly tokens: number
  readonly finish_reason: 'EOS_TOKEN' | 'MAX_TOKENS' | 'CANCELLED'
  readonly ms: number
}

interface Session {
  readonly model: LoadedModel
  readonly prompt: string | null
  readonly first_token_id: number
  readonly runner: PreTrainedModel
}

/** Under this name transformers.js finds the files of the session being made. */
const SESSION_ID = 'promptlathe-session/model'
const DECODE = { skip_special_tokens: true }

/** Lets messages through (a stop, a pause): on wasm a whole generation would otherwise be one task. */
const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(null)
  })

export class Generator {
  private session: Session | null = null
  /** Generations and changes of the session wait for each other. */
  private queue: Promise<unknown> = Promise.resolve()

  constructor(private readonly cache: ModelCache) {}

  /**
   * Generates after everything asked for before is done. `onText` gets the text in pieces as it comes.
   * @throws what transformers.js or onnxruntime throw; GraphError when the prompt does not fit the model
   */
  generate(request: GenerationRequest, onText: (text: string) => void, stop: AbortSignal): Promise<GenerationResult> {
    return this.inTurn(() => this.run(request, onText, stop))
  }

  /** Frees the session, after what runs. */
  dispose(): Promise<void> {
    return this.inTurn(() => this.close())
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.queue.then(work, work)
    this.queue = turn.catch(() => undefined)
    return turn
  }

  private async run(request: GenerationRequest, onText: (text: string) => void, stop: AbortSignal): Promise<GenerationResult> {
    const cancelled = (): GenerationResult => ({ text: '', tokens: 0, finish_reason: 'CANCELLED', ms: 0 })
    if (stop.aborted) return cancelled()
    const session = await this.open(request.model, request.prompt)
    if (stop.aborted) return cancelled()
    const started = performance.now()

    const soft = request.prompt?.num_virtual_tokens ?? 0
    const ids = [...Array.from({ length: soft }, (_, i) => session.first_token_id + i), ...request.source_ids]
    const { pretrained_tokenizer, tokenizer } = request.model
    const eos = eosIds(session.runner, tokenizer.eos_token_id)
    const sampled = request.do_sample && request.temperature > 0
    const processors = new LogitsProcessorList()
    if (sampled && request.top_p < 1) processors.push(new NucleusProcessor(request.top_k, request.top_p))
    const interrupt = new InterruptableStoppingCriteria()
    const onStop = (): void => interrupt.interrupt()
    stop.addEventListener('abort', onStop)
    const generated: number[] = []
    const streamer = new TextStreamer(pretrained_tokenizer, {
      skip_prompt: true,
      skip_special_tokens: true,
      callback_function: (text: string) => {
        if (text !== '') onText(text)
      },
      token_callback_function: (tokens: bigint[]) => generated.push(...tokens.map(Number)),
    })
    // eslint-disable-next-line @typescript-eslint/no-unsafe-call -- `random` is typed any
    random.seed(request.seed)
    try {
      await session.runner.generate({
        inputs: int64([1, ids.length], ids),
        attention_mask: int64([1, ids.length], Array(ids.length).fill(1)),
        max_new_tokens: request.max_new_tokens,
        do_sample: sampled,
        temperature: sampled ? request.temperature : 1,
        top_k: request.top_k,
        repetition_penalty: request.repetition_penalty,
        eos_token_id: eos,
        logits_processor: processors,
        stopping_criteria: interrupt,
        streamer,
      })
    } finally {
      stop.removeEventListener('abort', onStop)
    }
    const ended = eos.includes(generated.at(-1) ?? -1)
    return {
      text: tokenizer.decode(generated, DECODE),
      tokens: generated.length,
      finish_reason: ended ? 'EOS_TOKEN' : interrupt.interrupted ? 'CANCELLED' : 'MAX_TOKENS',
      ms: performance.now() - started,
    }
  }

  private async open(model: LoadedModel, prompt: GenerationPrompt | null): Promise<Session> {
    const open = this.session
    if (open?.model === model && (prompt === null || open.prompt === prompt.id)) return open
    await this.close()
    const baked = prompt === null ? null : bakePrompt(model.onnx, prompt)
    const files = new Map<string, Blob>([...model.files].map(([path, bytes]) => [path, new Blob([bytes])]))
    // Chunks are views of the file that was read or of new bytes; neither is shared memory.
    files.set(model.onnx_path, new Blob(baked ? baked.chunks.map((chunk) => chunk as Uint8Array<ArrayBuffer>) : [model.onnx]))
    this.cache.setVirtual(SESSION_ID, files)
    try {
      const runner = await AutoModelForCausalLM.from_pretrained(SESSION_ID, {
        config: model.config,
        dtype: model.model_dtype,
        device: 'wasm',
        local_files_only: true,
        use_external_data_format: false,
        session_options: { externalData: [...model.external].map(([path, data]) => ({ path, data })) },
        ...(model.model_file_name === null ? {} : { model_file_name: model.model_file_name }),
      })
      breatheBetweenTokens(runner)
      this.session = { model, prompt: prompt?.id ?? null, first_token_id: baked?.first_token_id ?? 0, runner }
      return this.session
    } finally {
      this.cache.removeVirtual(SESSION_ID)
    }
  }

  private async close(): Promise<void> {
    const { session } = this
    this.session = null
    await session?.runner.dispose()
  }
}

const int64 = (dims: number[], values: readonly number[]): Tensor => new Tensor('int64', BigInt64Array.from(values, BigInt), dims)

/** generate() calls `forward` once a token; this one lets the worker's messages through first. */
function breatheBetweenTokens(runner: PreTrainedModel): void {
  const forward = runner.forward.bind(runner)
  runner.forward = async (inputs) => {
    await breathe()
    // eslint-disable-next-line @typescript-eslint/no-unsafe-return -- transformers.js types its tensors as any
    return forward(inputs)
  }
}

/** All tokens that end an answer: the model's own, and the one training put behind every target. */
function eosIds(runner: PreTrainedModel, trained: number): number[] {
  const own: unknown = runner.generation_config?.eos_token_id ?? Reflect.get(runner.config, 'eos_token_id')
  const ids = (Array.isArray(own) ? own : [own]).filter((id): id is number => Number.isSafeInteger(id))
  return [...new Set([...ids, trained])]
}
