/**
 * A tuned model as a folder in transformers.js' layout: the base model's files with the prompt baked into the graph, its
 * virtual tokens in the tokenizer, and a README. Plain `pipeline('text-generation', folder)` then runs the tuned model.
 *
 * Files it has no reason to change (config.json, generation_config.json, external data) are passed on as they are.
 */
import { bakePrompt, type PromptRows } from '../graph/bake'
import { GraphError } from '../graph/ir'
import { bakeChatTemplate, bakeTokenizer, bakeTokenizerConfig, softTokenName } from './baked-tokenizer'
import { FormatError } from './format-error'
import type { ChunkedFile } from './zip'

export interface BakedPrompt extends PromptRows {
  /** What the user calls the prompt. */
  readonly name: string
  /** The model it was tuned on. */
  readonly base_model: string
  /** How an input was put into words for training, with `{{input}}` where it goes; null if unknown. */
  readonly verbalizer: string | null
}

export interface BakedFolder {
  /** Paths are relative to the folder; chunks are to be put one after the other. Weights are views into the given files. */
  readonly files: ChunkedFile[]
  readonly first_token_id: number
}

/**
 * Bakes a prompt into a model's files. Encoder-decoder models get it in the encoder, others in every graph there is.
 *
 * @param files the model's files by path in the repository: config.json, tokenizer.json, tokenizer_config.json,
 *   onnx/model_quantized.onnx, ... (any subset with tokenizer.json and one graph)
 * @throws FormatError or GraphError naming the file: a missing one, a graph without embedding lookup, a prompt of another width
 */
export function bakeModelFolder(files: ReadonlyMap<string, Uint8Array>, prompt: BakedPrompt): BakedFolder {
  const graphs = promptGraphs([...files.keys()])
  const tokenizer = files.get('tokenizer.json')
  if (!tokenizer) throw new FormatError('tokenizer.json is missing')
  const out = new Map<string, readonly Uint8Array[]>([...files].map(([path, bytes]) => [path, [bytes]]))

  let first_token_id: number | null = null
  for (const path of graphs) {
    const baked = bakeGraph(path, files.get(path) ?? new Uint8Array(0), prompt)
    if (first_token_id !== null && baked.first_token_id !== first_token_id) {
      throw new FormatError(`${path}: its embedding table has ${baked.first_token_id} rows, another graph's ${first_token_id}`)
    }
    first_token_id = baked.first_token_id
    out.set(path, baked.chunks)
  }
  if (first_token_id === null) throw new FormatError(`no ONNX graph among ${[...files.keys()].join(', ')}`)

  const { num_virtual_tokens } = prompt
  const tokenizerConfig = files.get('tokenizer_config.json') ?? new TextEncoder().encode('{}')
  const chatTemplate = files.get('chat_template.jinja')
  out.set('tokenizer.json', [bakeTokenizer(tokenizer, num_virtual_tokens, first_token_id)])
  out.set('tokenizer_config.json', [bakeTokenizerConfig(tokenizerConfig, num_virtual_tokens, first_token_id)])
  if (chatTemplate) {
    const template = new TextDecoder().decode(chatTemplate)
    out.set('chat_template.jinja', [new TextEncoder().encode(bakeChatTemplate(template, num_virtual_tokens))])
  }
  out.set('README.md', [new TextEncoder().encode(readme(graphs, first_token_id, prompt))])
  return { files: [...out].map(([path, chunks]) => ({ path, chunks })), first_token_id }
}

/** The graphs that look up the ids the prompt stands before. */
function promptGraphs(paths: readonly string[]): string[] {
  const graphs = paths.filter((path) => path.endsWith('.onnx'))
  const encoders = graphs.filter((path) => baseName(path).startsWith('encoder_model'))
  return encoders.length > 0 ? encoders : graphs
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function bakeGraph(path: string, bytes: Uint8Array, prompt: BakedPrompt) {
  try {
    return bakePrompt(bytes, prompt)
  } catch (error) {
    if (error instanceof GraphError) throw new GraphError(`${path}: ${error.message}`)
    throw error
  }
}

/** How transformers.js calls a file's precision: the suffix it looks for (its `DEFAULT_DTYPE_SUFFIX_MAPPING`). */
function dtypeOf(path: string): string {
  const suffix = /_(fp16|quantized|int8|uint8|q4|q4f16|bnb4)\.onnx$/.exec(path)?.[1]
  return suffix === undefined ? 'fp32' : suffix === 'quantized' ? 'q8' : suffix
}

function readme(graphs: readonly string[], first_token_id: number, prompt: BakedPrompt): string {
  const { num_virtual_tokens, base_model, verbalizer } = prompt
  const [graph = ''] = graphs
  const last = num_virtual_tokens - 1
  const seq2seq = baseName(graph).startsWith('encoder_model')
  const merged = baseName(graph).startsWith('decoder_model_merged')
  const input = (verbalizer ?? '{{input}}').split('{{input}}').join('your input')
  const options = [`dtype: '${dtypeOf(graph)}'`, ...(merged ? [`model_file_name: 'decoder_model_merged'`] : [])].join(', ')
  const ids = num_virtual_tokens === 1 ? `${first_token_id}` : `${first_token_id} to ${first_token_id + last}`
  return `# ${prompt.name.replace(/\s+/g, ' ')}

${base_model} with a soft prompt of ${num_virtual_tokens} virtual tokens, tuned with Promptlathe. The model's weights are unchanged:
token ids ${ids} (\`${softTokenName(0)}\`${last > 0 ? ` to \`${softTokenName(last)}\`` : ''}) look up the tuned embeddings, and the
tokenizer puts them in front of every text. The licence of ${base_model} applies.
${
  verbalizer === null || verbalizer === '{{input}}'
    ? ''
    : `
The prompt was tuned on inputs written like this, with \`{{input}}\` standing for the input:

${verbalizer.replace(/^/gm, '    ')}
`
}
## transformers.js

\`\`\`js
import { env, pipeline } from '@huggingface/transformers'

env.localModelPath = '/path/to/the/folder/above/' // in the browser: a URL path, and env.allowLocalModels = true
const generate = await pipeline('${seq2seq ? 'text2text-generation' : 'text-generation'}', 'name-of-this-folder', { ${options} })
const output = await generate(${JSON.stringify(input)}, { max_new_tokens: 32${seq2seq ? '' : ', return_full_text: false'} })
\`\`\`

## onnxruntime

Run \`${graph}\` as ever, with the virtual tokens in front of the text's ids:

\`\`\`python
input_ids = list(range(${first_token_id}, ${first_token_id + num_virtual_tokens})) + text_ids
attention_mask = [1] * len(input_ids)
\`\`\`

Encoding with the \`tokenizer.json\` in this folder (special tokens on) gives just these ids.
`
}
