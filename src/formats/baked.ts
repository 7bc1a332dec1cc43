/**
 * A tuned model as a folder in transformers.js' layout: the base model's files with the prompt baked into its graphs, its
 * virtual tokens in the tokenizer, and a README. Plain `pipeline(task, folder)` then runs the tuned model.
 *
 * Files it has no reason to change (config.json, generation_config.json, external data) are passed on as they are.
 */
import * as v from 'valibot'
import { bakePrompt } from '../graph/bake'
import { GraphError } from '../graph/ir'
import { asSource, wholeOf, type ByteSource, type Chunk } from '../graph/source'
import { bakedReadme } from './baked-readme'
import { bakeChatTemplate, bakeTokenizer, bakeTokenizerConfig } from './baked-tokenizer'
import { FormatError } from './format-error'
import { parseJson } from './json'
import type { ChunkedFile } from './zip'

export interface BakedPrompt {
  /** What the user calls the prompt. */
  readonly name: string
  /** The model it was tuned on. */
  readonly base_model: string
  /** How an input was put into words for training, with `{{input}}` where it goes; null if unknown. */
  readonly verbalizer: string | null
  readonly num_virtual_tokens: number
  readonly hidden_size: number
  /** [num_virtual_tokens, hidden_size], row-major, for each part of the model that gets a prompt; at least one. */
  readonly encoder_rows: Float32Array | null
  readonly decoder_rows: Float32Array | null
}

/** Which ONNX files are what, by path. A causal model has decoders only. */
export interface ModelGraphs {
  readonly encoders: readonly string[]
  readonly decoders: readonly string[]
}

export interface BakedFolder {
  /** Paths are relative to the folder; chunks are to be put one after the other. Weights are views or slices of the given files. */
  readonly files: ChunkedFile[]
  readonly first_token_id: number
}

const id = v.fallback(v.nullish(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), null), null)
const ConfigSchema = v.object({
  decoder_start_token_id: id,
  model_type: v.fallback(v.nullish(v.string(), null), null),
})

/** The graphs as transformers.js names them: encoder_model*.onnx are encoders, all others decoders. */
export function graphsByName(paths: readonly string[]): ModelGraphs {
  const graphs = paths.filter((path) => path.endsWith('.onnx'))
  const isEncoder = (path: string) => path.slice(path.lastIndexOf('/') + 1).startsWith('encoder_model')
  return { encoders: graphs.filter(isEncoder), decoders: graphs.filter((path) => !isEncoder(path)) }
}

/**
 * Bakes a prompt into a model's files: each part of it into that part's graphs.
 *
 * @param files the model's files by path in the repository: config.json, tokenizer.json, tokenizer_config.json,
 *   onnx/model_quantized.onnx, ... (any subset with tokenizer.json and the graphs a prompt is for)
 * @throws FormatError or GraphError naming the file: a missing one, a graph without embedding lookup, a prompt of another width
 */
export function bakeModelFolder(
  files: ReadonlyMap<string, Uint8Array | ByteSource>,
  prompt: BakedPrompt,
  graphs: ModelGraphs = graphsByName([...files.keys()]),
): BakedFolder {
  const tokenizer = textFile(files, 'tokenizer.json')
  if (!tokenizer) throw new FormatError('tokenizer.json is missing')
  const out = new Map<string, readonly Chunk[]>([...files].map(([path, file]) => [path, [chunkOf(file)]]))

  const parts = [
    { rows: prompt.encoder_rows, paths: graphs.encoders, part: 'encoder' },
    { rows: prompt.decoder_rows, paths: graphs.decoders, part: 'decoder' },
  ]
  let first_token_id: number | null = null
  for (const { rows, paths, part } of parts) {
    if (!rows) continue
    if (paths.length === 0)
      throw new FormatError(`no ONNX graph of a${part === 'encoder' ? 'n' : ''} ${part} among ${[...files.keys()].join(', ')}`)
    for (const path of paths) {
      const baked = bakeGraph(path, files.get(path), rows, prompt)
      if (first_token_id !== null && baked.first_token_id !== first_token_id) {
        throw new FormatError(`${path}: its embedding table has ${baked.first_token_id} rows, another graph's ${first_token_id}`)
      }
      first_token_id = baked.first_token_id
      out.set(path, baked.chunks)
    }
  }
  if (first_token_id === null) throw new FormatError('the prompt has no rows for any part of the model')

  const { num_virtual_tokens } = prompt
  const seq2seq = graphs.encoders.length > 0
  // The tokenizer's text goes to the encoder where there is one.
  const in_front = !seq2seq || prompt.encoder_rows !== null
  const encode = (text: string) => new TextEncoder().encode(text)
  const tokenizerConfig = textFile(files, 'tokenizer_config.json') ?? encode('{}')
  const chatTemplate = textFile(files, 'chat_template.jinja')
  out.set('tokenizer.json', [bakeTokenizer(tokenizer, num_virtual_tokens, first_token_id, in_front)])
  out.set('tokenizer_config.json', [bakeTokenizerConfig(tokenizerConfig, num_virtual_tokens, first_token_id, in_front)])
  if (chatTemplate && in_front) {
    out.set('chat_template.jinja', [encode(bakeChatTemplate(new TextDecoder().decode(chatTemplate), num_virtual_tokens))])
  }
  const config = configOf(files, 'config.json')
  const readme = bakedReadme({
    prompt,
    first_token_id,
    encoder: graphs.encoders[0] ?? null,
    decoder: graphs.decoders[0] ?? null,
    model_type: config.model_type,
    decoder_start_token_id: configOf(files, 'generation_config.json').decoder_start_token_id ?? config.decoder_start_token_id,
  })
  out.set('README.md', [encode(readme)])
  return { files: [...out].map(([path, chunks]) => ({ path, chunks })), first_token_id }
}

const chunkOf = (file: Uint8Array | ByteSource): Chunk => (file instanceof Uint8Array ? file : wholeOf(file))

/** A small file, in memory. */
function textFile(files: ReadonlyMap<string, Uint8Array | ByteSource>, path: string): Uint8Array | undefined {
  const file = files.get(path)
  if (!file) return undefined
  const source = asSource(file)
  return source.read(0, source.size)
}

function configOf(files: ReadonlyMap<string, Uint8Array | ByteSource>, path: string): v.InferOutput<typeof ConfigSchema> {
  const bytes = textFile(files, path)
  return bytes ? parseJson(bytes, ConfigSchema, path) : { decoder_start_token_id: null, model_type: null }
}

function bakeGraph(path: string, file: Uint8Array | ByteSource | undefined, rows: Float32Array, prompt: BakedPrompt) {
  if (!file) throw new FormatError(`${path} is missing`)
  const { num_virtual_tokens, hidden_size } = prompt
  try {
    return bakePrompt(file, { rows, num_virtual_tokens, hidden_size })
  } catch (error) {
    if (error instanceof GraphError) throw new GraphError(`${path}: ${error.message}`)
    throw error
  }
}
