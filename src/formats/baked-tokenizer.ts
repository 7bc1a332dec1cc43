/**
 * tokenizer.json and tokenizer_config.json of a model with a baked prompt: the virtual tokens get names, and every text
 * gets them in front by itself.
 *
 * How the pieces work together in transformers.js 4: the post-processor puts special tokens around a text when
 * add_special_tokens is on, which the text-generation pipeline decides by add_bos_token; chat input goes through the chat
 * template instead, with add_special_tokens off.
 */
import * as v from 'valibot'
import { FormatError } from './format-error'
import { JsonObject, jsonBytes, parseJson } from './json'

const TOKENIZER = 'tokenizer.json'
const TOKENIZER_CONFIG = 'tokenizer_config.json'

const id = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const Piece = v.unknown()
const TokenizerSchema = v.looseObject({
  added_tokens: v.nullish(v.array(v.looseObject({ id, content: v.string() })), []),
  post_processor: v.nullish(v.looseObject({ type: v.string() }), null),
  model: v.looseObject({ vocab: v.union([JsonObject, v.array(v.unknown())]) }),
})
const TemplateSchema = v.looseObject({
  type: v.literal('TemplateProcessing'),
  single: v.array(Piece),
  pair: v.array(Piece),
  special_tokens: JsonObject,
})
const SequenceSchema = v.looseObject({ type: v.literal('Sequence'), processors: v.array(v.looseObject({ type: v.string() })) })
const TokenizerConfigSchema = v.looseObject({
  chat_template: v.optional(v.union([v.string(), v.array(v.looseObject({ name: v.string(), template: v.string() })), v.null()])),
  added_tokens_decoder: v.optional(JsonObject),
})

type Processor = v.InferOutput<typeof SequenceSchema>['processors'][number]

/** The text form of virtual token `index`. */
export function softTokenName(index: number): string {
  return `<|sp_${index}|>`
}

interface SoftToken {
  readonly id: number
  readonly content: string
}

/**
 * @param first_token_id the id of the first virtual token, as `bakePrompt` gave it
 * @param in_front false: the virtual tokens only get their names (so that decoding leaves them out), and no text gets them. For
 *   a prompt that stands in front of a decoder, which no tokenizer reaches.
 * @throws FormatError when the file is no tokenizer.json, already uses these ids or names
 */
export function bakeTokenizer(
  bytes: Uint8Array,
  num_virtual_tokens: number,
  first_token_id: number,
  in_front = true,
): Uint8Array {
  const tokenizer = parseJson(bytes, TokenizerSchema, TOKENIZER)
  const soft = softTokens(num_virtual_tokens, first_token_id)
  const added = tokenizer.added_tokens ?? []
  const names = new Set(soft.map((token) => token.content))
  let next = 0
  for (const [content, tokenId] of vocabulary(tokenizer.model.vocab, added)) {
    if (names.has(content)) throw new FormatError(`${TOKENIZER}: "${content}" is taken: this model already has a baked prompt`)
    if (tokenId >= first_token_id) {
      throw new FormatError(`${TOKENIZER}: "${content}" has id ${tokenId}, but the embedding table ends at ${first_token_id - 1}`)
    }
    next = Math.max(next, tokenId + 1)
  }
  // Embedding tables are often padded beyond the vocabulary. Python's tokenizers numbers added tokens one after the other
  // whatever their ids say, so the ids between get names too.
  const fillers: SoftToken[] = []
  for (let free = next; free < first_token_id; free++) fillers.push({ id: free, content: `<|unused_${free}|>` })
  const addedToken = (token: SoftToken) => ({
    ...token,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })
  return jsonBytes({
    ...tokenizer,
    added_tokens: [...added, ...[...fillers, ...soft].map(addedToken)],
    post_processor: in_front ? withSoftTokens(tokenizer.post_processor ?? null, soft) : (tokenizer.post_processor ?? null),
  })
}

/**
 * Special tokens are added by default, the chat template begins with the virtual tokens.
 * @param in_front false: neither; the virtual tokens only get their names (see bakeTokenizer)
 * @throws FormatError if it is no tokenizer_config.json
 */
export function bakeTokenizerConfig(
  bytes: Uint8Array,
  num_virtual_tokens: number,
  first_token_id: number,
  in_front = true,
): Uint8Array {
  const config = parseJson(bytes, TokenizerConfigSchema, TOKENIZER_CONFIG)
  const soft = softTokens(num_virtual_tokens, first_token_id)
  const out: Record<string, unknown> = in_front ? { ...config, add_bos_token: true } : { ...config }
  const { chat_template, added_tokens_decoder } = config
  if (in_front && typeof chat_template === 'string') out.chat_template = bakeChatTemplate(chat_template, num_virtual_tokens)
  else if (in_front && Array.isArray(chat_template)) {
    out.chat_template = chat_template.map((entry) => ({
      ...entry,
      template: bakeChatTemplate(entry.template, num_virtual_tokens),
    }))
  }
  if (added_tokens_decoder) {
    const entry = (content: string) => ({
      content,
      lstrip: false,
      normalized: false,
      rstrip: false,
      single_word: false,
      special: true,
    })
    out.added_tokens_decoder = {
      ...added_tokens_decoder,
      ...Object.fromEntries(soft.map((token) => [String(token.id), entry(token.content)])),
    }
  }
  return jsonBytes(out)
}

/** A chat template (Jinja) that begins with the virtual tokens. */
export function bakeChatTemplate(template: string, num_virtual_tokens: number): string {
  return (
    softTokens(num_virtual_tokens, 0)
      .map((token) => token.content)
      .join('') + template
  )
}

function softTokens(num_virtual_tokens: number, first_token_id: number): SoftToken[] {
  return Array.from({ length: num_virtual_tokens }, (_, index) => ({ id: first_token_id + index, content: softTokenName(index) }))
}

function isUnigram(vocab: Readonly<Record<string, unknown>> | readonly unknown[]): vocab is readonly unknown[] {
  return Array.isArray(vocab)
}

/** Every token with its id: BPE and WordPiece map text to id, Unigram lists [text, score] by id. */
function vocabulary(
  vocab: Readonly<Record<string, unknown>> | readonly unknown[],
  added: readonly { readonly id: number; readonly content: string }[],
): [content: string, id: number][] {
  const entries: [string, unknown][] = isUnigram(vocab)
    ? vocab.map((entry, index) => [Array.isArray(entry) ? String(entry[0]) : '', index])
    : Object.entries(vocab)
  return [...entries, ...added.map((token): [string, unknown] => [token.content, token.id])].map(([content, tokenId]) => {
    if (!v.is(id, tokenId)) throw new FormatError(`${TOKENIZER}: "${content}" has id ${JSON.stringify(tokenId)}`)
    return [content, tokenId]
  })
}

/**
 * The post-processor with the virtual tokens before everything else it adds (a BOS comes after them, as in training).
 * A template takes them in; what can't (BertProcessing, ByteLevel, ...) runs first and a template follows.
 */
function withSoftTokens(processor: Processor | null, soft: readonly SoftToken[]): unknown {
  const specials = Object.fromEntries(soft.map(({ id, content }) => [content, { id: content, ids: [id], tokens: [content] }]))
  const pieces = soft.map(({ content }) => ({ SpecialToken: { id: content, type_id: 0 } }))
  const sequence = (name: string, type_id: number) => ({ Sequence: { id: name, type_id } })
  const own = {
    type: 'TemplateProcessing',
    single: [...pieces, sequence('A', 0)],
    pair: [...pieces, sequence('A', 0), sequence('B', 1)],
    special_tokens: specials,
  }
  const prepend = (template: v.InferOutput<typeof TemplateSchema>) => ({
    ...template,
    single: [...pieces, ...template.single],
    pair: [...pieces, ...template.pair],
    special_tokens: { ...template.special_tokens, ...specials },
  })
  if (!processor) return own
  if (v.is(TemplateSchema, processor)) return prepend(processor)
  const chain: Processor[] = v.is(SequenceSchema, processor) ? processor.processors : [processor]
  const at = chain.findIndex((step) => v.is(TemplateSchema, step))
  if (at < 0) return { type: 'Sequence', processors: [...chain, own] }
  return { type: 'Sequence', processors: chain.map((step, i) => (i === at && v.is(TemplateSchema, step) ? prepend(step) : step)) }
}
