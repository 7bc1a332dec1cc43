/**
 * A model made ready to generate: a prompt baked into copies of its ONNX files, and transformers.js' class for it. Since baking leaves plain
 * ids alone, it also answers for the untuned model, without the virtual tokens.
 */
import { AutoModelForCausalLM, AutoModelForSeq2SeqLM, type PreTrainedModel } from '@huggingface/transformers'
import { bakePrompt } from '../../graph/bake'
import { outsource } from '../../graph/outsource'
import { blobOf, DeferredBytes, joinedSource, wholeOf, type ByteSlice } from '../../graph/source'
import type { ModelCache } from '../cache'
import type { LoadedModel, ModelPart } from '../load'
import { ModelError } from '../model-error'

/** A prompt as the model's two halves get it. */
export interface GenerationPrompt {
  /** Tells prompts apart, and the tasks of one prompt. */
  readonly id: string
  /** [num_virtual_tokens, hidden_size], row-major; null where it has none there. A causal model's prompt is the decoder's. */
  readonly encoder: Float32Array | null
  readonly decoder: Float32Array | null
  /** Of each half. */
  readonly num_virtual_tokens: number
  readonly hidden_size: number
}

export interface Runner {
  readonly model: LoadedModel
  readonly prompt: GenerationPrompt | null
  /** The ids that stand for the prompt's rows, in each half; empty where it has none. */
  readonly encoder_ids: readonly number[]
  readonly decoder_ids: readonly number[]
  readonly pretrained: PreTrainedModel
}

/** Where onnxruntime runs: transformers.js in a browser knows 'wasm'; in Node, on a given onnxruntime, only 'auto'. */
export type RunnerDevice = 'wasm' | 'auto'

/** Under this name transformers.js finds the files of the model being made. */
const SESSION_ID = 'promptlathe-session/model'

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

/** @throws ModelError, GraphError when the prompt does not fit the model; what transformers.js and onnxruntime throw */
export async function openRunner(
  cache: ModelCache,
  model: LoadedModel,
  prompt: GenerationPrompt | null,
  device: RunnerDevice,
): Promise<Runner> {
  if (prompt?.encoder && !model.parts.some((part) => part.role === 'encoder')) {
    throw new ModelError(
      'invalid',
      `The prompt is made for an encoder, but ${model.id} has none`,
      'Use the model it was made for.',
    )
  }
  const files = new Map<string, Blob>([...model.files].map(([path, bytes]) => [path, blobOf([bytes])]))
  const ids = { encoder: [] as readonly number[], decoder: [] as readonly number[] }
  // Weights go to onnxruntime from where they lie, one by one: of the files transformers.js gets all but the weights.
  const weights = new Map<string, ByteSlice>()
  for (const part of model.parts) {
    const half = part.role === 'encoder' ? 'encoder' : 'decoder'
    const baked = bakePart(part, prompt, half)
    if (baked) ids[half] = baked.ids
    const { onnx, external } = outsource(baked ? joinedSource(baked.chunks) : part.onnx, `promptlathe.${part.role}`)
    files.set(part.path, blobOf([onnx]))
    for (const [path, slice] of external) weights.set(path, slice)
    for (const [path, source] of part.external) weights.set(path, wholeOf(source))
  }
  cache.setVirtual(SESSION_ID, files)
  try {
    const make = model.kind === 'seq2seq' ? AutoModelForSeq2SeqLM : AutoModelForCausalLM
    const pretrained = await make.from_pretrained(SESSION_ID, {
      config: model.config,
      dtype: model.model_dtype,
      device,
      local_files_only: true,
      use_external_data_format: false,
      session_options: {
        externalData: [...weights].map(([path, slice]) => ({ path, data: new DeferredBytes(slice) })),
      },
      ...(model.model_file_name === null ? {} : { model_file_name: model.model_file_name }),
    })
    breatheBetweenTokens(pretrained)
    // generate() drops what is not in this list, and most encoder-decoder classes leave the decoder's beginning out of it.
    if (!pretrained.forward_params.includes('decoder_input_ids')) pretrained.forward_params.push('decoder_input_ids')
    return { model, prompt, encoder_ids: ids.encoder, decoder_ids: ids.decoder, pretrained }
  } finally {
    cache.removeVirtual(SESSION_ID)
  }
}

/** A part with the prompt's rows for it; null where there are none. */
function bakePart(part: ModelPart, prompt: GenerationPrompt | null, half: 'encoder' | 'decoder') {
  const rows = prompt?.[half]
  if (!prompt || !rows) return null
  const { num_virtual_tokens, hidden_size } = prompt
  const { chunks, first_token_id } = bakePrompt(part.onnx, { rows, num_virtual_tokens, hidden_size })
  return {
    chunks,
    ids: Array.from({ length: num_virtual_tokens }, (_, i) => first_token_id + i),
  }
}

/** generate() calls `forward` once a token; this one lets the worker's messages through first. */
function breatheBetweenTokens(pretrained: PreTrainedModel): void {
  const forward = pretrained.forward.bind(pretrained)
  pretrained.forward = async (inputs) => {
    await breathe()
    // eslint-disable-next-line @typescript-eslint/no-unsafe-return -- transformers.js types its tensors as any
    return forward(inputs)
  }
}
