/**
 * The README of a baked model's folder: how plain transformers.js and onnxruntime run it. Text only.
 *
 * What it says of transformers.js is how 4.3.1 does it (src/models/modeling_utils.js, src/pipelines/text2text-generation.js): the
 * pipeline encodes the text with special tokens and hands every other option on to generate; generate takes decoder_input_ids as
 * a flat list, repeats it for a batch, masks nothing of it, and returns it in front of what was generated. But it first drops every
 * input that is not among the model's forward_params, and decoder_input_ids is among those of T5 only.
 */
import type { BakedPrompt } from './baked'
import { softTokenName } from './baked-tokenizer'

export interface ReadmeParts {
  readonly prompt: BakedPrompt
  readonly first_token_id: number
  /** A graph of each part the model has, by path. */
  readonly encoder: string | null
  readonly decoder: string | null
  readonly model_type: string | null
  /** null: not known. */
  readonly decoder_start_token_id: number | null
}

/** How transformers.js calls a file's precision: the suffix it looks for (its `DEFAULT_DTYPE_SUFFIX_MAPPING`). */
function dtypeOf(path: string): string {
  const suffix = /_(fp16|quantized|int8|uint8|q4|q4f16|bnb4)\.onnx$/.exec(path)?.[1]
  return suffix === undefined ? 'fp32' : suffix === 'quantized' ? 'q8' : suffix
}

/** Like `paths`, for an option object; one dtype where both parts have the same. */
function dtypeOption(encoder: string | null, decoder: string | null): string {
  const decoderType = decoder === null ? null : dtypeOf(decoder)
  const encoderType = encoder === null ? decoderType : dtypeOf(encoder)
  if (decoderType === null || encoderType === decoderType) return `dtype: '${encoderType ?? 'fp32'}'`
  return `dtype: { encoder_model: '${encoderType ?? 'fp32'}', decoder_model_merged: '${decoderType}' }`
}

/** transformers.js models whose generate takes decoder_input_ids as they are. */
const TAKES_DECODER_IDS = ['t5']

export function bakedReadme(parts: ReadmeParts): string {
  const { prompt, first_token_id, encoder } = parts
  const { num_virtual_tokens, base_model, verbalizer } = prompt
  const last = num_virtual_tokens - 1
  const ids = last === 0 ? `${first_token_id}` : `${first_token_id} to ${first_token_id + last}`
  const names = `\`${softTokenName(0)}\`${last > 0 ? ` to \`${softTokenName(last)}\`` : ''}`
  const template =
    verbalizer === null || verbalizer === '{{input}}'
      ? ''
      : `
The prompt was tuned on inputs written like this, with \`{{input}}\` standing for the input:

${verbalizer.replace(/^/gm, '    ')}
`
  return `# ${prompt.name.replace(/\s+/g, ' ')}

${base_model} with a soft prompt of ${num_virtual_tokens} virtual tokens, tuned with Promptlathe. The model's weights are unchanged:
token ids ${ids} (${names}) look up the tuned embeddings${encoder === null ? '' : ` ${where(prompt)}`}${tokenizerSentence(parts)}
The licence of ${base_model} applies.
${template}${encoder === null ? causalUse(parts) : seq2seqUse(parts)}`
}

const where = ({ encoder_rows, decoder_rows }: BakedPrompt): string =>
  encoder_rows && decoder_rows ? 'in the encoder, and others in the decoder' : encoder_rows ? 'in the encoder' : 'in the decoder'

function tokenizerSentence({ prompt, encoder }: ReadmeParts): string {
  if (encoder === null || !prompt.decoder_rows) return ', and the tokenizer puts them in front of every text.'
  if (!prompt.encoder_rows) return '. They have to be given to the decoder, as shown below.'
  return '.\nThe tokenizer puts them in front of every text; to the decoder they have to be given, as shown below.'
}

const inputOf = ({ verbalizer }: BakedPrompt): string =>
  JSON.stringify((verbalizer ?? '{{input}}').split('{{input}}').join('your input'))

const LOCAL_PATH =
  "env.localModelPath = '/path/to/the/folder/above/' // in the browser: a URL path, and env.allowLocalModels = true"

function causalUse({ prompt, decoder, first_token_id }: ReadmeParts): string {
  const graph = decoder ?? ''
  const merged = graph.slice(graph.lastIndexOf('/') + 1).startsWith('decoder_model_merged')
  const options = `${dtypeOption(null, decoder)}${merged ? ", model_file_name: 'decoder_model_merged'" : ''}`
  return `
## transformers.js

\`\`\`js
import { env, pipeline } from '@huggingface/transformers'

${LOCAL_PATH}
const generate = await pipeline('text-generation', 'name-of-this-folder', { ${options} })
const output = await generate(${inputOf(prompt)}, { max_new_tokens: 32, return_full_text: false })
\`\`\`

## onnxruntime

Run \`${graph}\` as ever, with the virtual tokens in front of the text's ids:

\`\`\`python
input_ids = list(range(${first_token_id}, ${first_token_id + prompt.num_virtual_tokens})) + text_ids
attention_mask = [1] * len(input_ids)
\`\`\`

Encoding with the \`tokenizer.json\` in this folder (special tokens on) gives just these ids.
`
}

function seq2seqUse(parts: ReadmeParts): string {
  const { prompt, encoder, decoder, first_token_id, model_type, decoder_start_token_id } = parts
  const soft = `${first_token_id}, ${first_token_id + prompt.num_virtual_tokens}`
  const start = decoder_start_token_id ?? 'generate.model.generation_config.decoder_start_token_id'
  const knows = model_type !== null && TAKES_DECODER_IDS.includes(model_type)
  const setup = prompt.decoder_rows
    ? `
// In front of the decoder: the virtual tokens, then the token every output starts with.
const soft = Array.from({ length: ${prompt.num_virtual_tokens} }, (_, i) => ${first_token_id} + i)
const decoder_input_ids = [...soft, ${start}]
${knows ? '' : "// transformers.js 4 hands this input on for T5 models only; for others it has to be told.\ngenerate.model.forward_params.push('decoder_input_ids')\n"}`
    : ''
  const options = `max_new_tokens: 32${prompt.decoder_rows ? ', decoder_input_ids' : ''}`
  const note = prompt.decoder_rows
    ? `
Without \`decoder_input_ids\` the decoder's part of the prompt is not used. \`model.generate\` takes the same option, and returns these ids in front
of the output; decoding with \`skip_special_tokens\` leaves them out, as the pipeline does. A streamer needs \`skip_prompt: true\`.
`
    : ''
  return `
## transformers.js

\`\`\`js
import { env, pipeline } from '@huggingface/transformers'

${LOCAL_PATH}
const generate = await pipeline('text2text-generation', 'name-of-this-folder', { ${dtypeOption(encoder, decoder)} })
${setup}const output = await generate(${inputOf(prompt)}, { ${options} })
\`\`\`
${note}
## onnxruntime

\`\`\`python
${encoderLines(parts, soft)}
${decoderLines(parts, soft, decoder_start_token_id)}
\`\`\`
`
}

function encoderLines({ prompt, encoder }: ReadmeParts, soft: string): string {
  if (!prompt.encoder_rows) return `# ${encoder ?? 'the encoder'}: unchanged`
  return `# ${encoder ?? 'the encoder'}; encoding with the tokenizer.json in this folder (special tokens on) gives just these ids
input_ids = list(range(${soft})) + text_ids
attention_mask = [1] * len(input_ids)`
}

function decoderLines({ prompt, decoder }: ReadmeParts, soft: string, start: number | null): string {
  const name = decoder ?? 'the decoder'
  const mask = prompt.encoder_rows ? "; encoder_attention_mask is the encoder's, virtual tokens included" : ''
  if (!prompt.decoder_rows) return `# ${name}: unchanged${mask}`
  return `# ${name}${mask}
decoder_input_ids = list(range(${soft})) + [${start ?? 'decoder_start_token_id'}]  # the last logits predict the first token`
}
