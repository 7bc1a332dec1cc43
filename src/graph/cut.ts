/**
 * The part of a model that is trained through: from the output of its embedding lookup to the logits, everything else pruned. An
 * encoder-decoder is two such parts, whose seam is the encoder's states.
 *
 * It refuses, by name, what can't be tuned. It knows no input shape yet (specialize.ts) and does not look at single ops (coverage.ts).
 */
import { findEmbeddings, type Embedding } from './embedding'
import { intAttribute, opKey } from './host/attributes'
import { inlineMerged } from './inline'
import { inlineFunctions } from './inline-functions'
import { elementCount, GraphError, type Graph, type Node, type OnnxModel, type Tensor } from './ir'
import { checkOpsets } from './opsets'
import { inputRefusal } from './specialize/inputs'
import { consumedNames, pruneTo } from './specialize/prune'
import { toIntegers } from './tensor'

/** What a cut graph is of its model, which decides what it reads and what it gives. */
export type CutRole = 'causal' | 'encoder' | 'decoder'

/** A flat graph cut open at the output of its embedding lookup. */
export interface CutGraph {
  readonly role: CutRole
  /** Only what the output depends on, in execution order; the cut value is one of its inputs. */
  readonly graph: Graph
  /** Operator set version by domain. */
  readonly opsets: ReadonlyMap<string, number>
  readonly embedding: Embedding
  /** Name of the cut value, [batch, sequence, hidden_size]. */
  readonly inputs_embeds: string
  /** Name of what it computes: logits [batch, sequence, vocabulary], or an encoder's states [batch, sequence, width]. */
  readonly output: string
  readonly hidden_size: number
  /** Rows of the embedding table. */
  readonly vocab_size: number
  /** Rows of the learned position table, if the graph has one; virtual tokens count. */
  readonly max_positions: number | null
  /** Numbers in the weights that embedding and output depend on; a weight stored twice counts twice. */
  readonly parameters: number
}

export interface CutCausal extends CutGraph {
  readonly kind: 'causal-lm'
}

/** An encoder and the decoder that reads its states, each cut at its own embedding lookup. */
export interface CutSeq2Seq {
  readonly kind: 'seq2seq'
  readonly encoder: CutGraph
  readonly decoder: CutGraph
  /** Of both embedding tables. */
  readonly hidden_size: number
  readonly vocab_size: number
  /** The least that encoder and decoder have. */
  readonly max_positions: number | null
  readonly parameters: number
}

export type CutModel = CutCausal | CutSeq2Seq

/** What a decoder reads of the encoder, by ONNX input name. */
export const ENCODER_STATES = 'encoder_hidden_states'

/** The graphs of a model, in the order they run. */
export const cutGraphs = (cut: CutModel): readonly CutGraph[] => (cut.kind === 'causal-lm' ? [cut] : [cut.encoder, cut.decoder])

/** Whether a file rounds activations to 8 bits (q8), so that results agree less closely. */
export const roundsActivations = (cut: CutModel): boolean =>
  cutGraphs(cut).some(({ graph }) => graph.nodes.some((node) => node.op_type === 'DynamicQuantizeLinear'))

/** The graph that makes the logits. */
export const logitsGraph = (cut: CutModel): CutGraph => (cut.kind === 'causal-lm' ? cut : cut.decoder)

/** Inputs of the cut graph that are computed with on the device. */
export const deviceInputs = ({ graph, inputs_embeds }: CutGraph): ReadonlySet<string> =>
  new Set([inputs_embeds, ...graph.inputs.flatMap(({ name }) => (name === ENCODER_STATES ? [name] : []))])

/** Inputs that tell what a graph is for, and why it is not tuned. */
const FOREIGN_INPUTS: readonly (readonly [RegExp, string])[] = [
  [/^decoder_input_ids$/, 'it is an encoder-decoder model in one file, which is not supported'],
  [/^pixel_(values|mask)$|^image_/, 'it is a vision model'],
  [/^input_(features|values)$|^audio_/, 'it is a speech or audio model'],
  [
    /^(past_|present_)?(conv|ssm|recurrent|rnn|mamba)_?(states?|cache)?\b|^past\w*[._](conv|ssm|recurrent)|^(cache_params|attn_states)/,
    'its layers keep states of their own between tokens: it is a recurrent model or has convolutions over the sequence (Mamba, LFM2, linear attention)',
  ],
  [/^inputs_embeds$/, 'it already takes inputs_embeds: its embedding table is in another file, which is not supported yet'],
]
const ENCODER_INPUT = /^encoder_/
const OUTPUTS: Readonly<Record<CutRole, string>> = { causal: 'logits', encoder: 'last_hidden_state', decoder: 'logits' }

/** A hundred layers in an unfused export have some ten thousand. Every step here is linear, but a browser should not be kept for minutes. */
const MAX_NODES = 50_000

/**
 * Cuts a causal language model at its embedding lookup.
 * @throws GraphError saying why this model can't be tuned, or where the graph is broken
 */
export function cutModel(model: OnnxModel): CutCausal {
  return { kind: 'causal-lm', ...cutGraphOf(model, 'causal') }
}

/**
 * Cuts an encoder and its decoder, each at its embedding lookup.
 * @throws GraphError as cutModel; or when the two do not fit together
 */
export function cutSeq2Seq(encoderModel: OnnxModel, decoderModel: OnnxModel): CutSeq2Seq {
  const encoder = cutGraphOf(encoderModel, 'encoder')
  const decoder = cutGraphOf(decoderModel, 'decoder')
  if (!decoder.graph.inputs.some(({ name }) => name === ENCODER_STATES)) {
    throw new GraphError(`this model can't be tuned: its decoder does not read '${ENCODER_STATES}'`)
  }
  if (encoder.hidden_size !== decoder.hidden_size) {
    throw new GraphError(
      `this model can't be tuned: embeddings of ${encoder.hidden_size} numbers in the encoder, ${decoder.hidden_size} in the decoder`,
    )
  }
  const limits = [encoder.max_positions, decoder.max_positions].filter((limit) => limit !== null)
  return {
    kind: 'seq2seq',
    encoder,
    decoder,
    hidden_size: encoder.hidden_size,
    vocab_size: Math.min(encoder.vocab_size, decoder.vocab_size),
    max_positions: limits.length === 0 ? null : Math.min(...limits),
    parameters: encoder.parameters + decoder.parameters,
  }
}

/** One part of a model by itself. @throws GraphError as cutModel */
export function cutGraphOf(model: OnnxModel, role: CutRole): CutGraph {
  const flat = inlineMerged(inlineFunctions(model))
  refuseForeign(flat.graph, role)
  const output = OUTPUTS[role]
  const whole = pruneTo(flat.graph, output)
  if (whole.nodes.length > MAX_NODES)
    throw new GraphError(`this model can't be tuned: ${whole.nodes.length} nodes lead to '${output}', the limit is ${MAX_NODES}`)
  const embedding = theEmbedding(whole)
  const cut = cutGraph(flat, embedding, output)
  return {
    role,
    ...cut,
    output,
    hidden_size: embedding.hidden_size,
    vocab_size: embedding.vocab_size,
    max_positions: maxPositions(cut.graph),
    parameters: countParameters(whole),
  }
}

function refuseForeign({ inputs, outputs }: Graph, role: CutRole): void {
  for (const { name } of inputs) {
    const found = FOREIGN_INPUTS.find(([pattern]) => pattern.test(name))
    if (found) throw new GraphError(`this model can't be tuned: ${found[1]} (input '${name}')`)
    if (role !== 'decoder' && ENCODER_INPUT.test(name)) {
      throw new GraphError(
        `this model can't be tuned: it is the decoder of an encoder-decoder model, without its encoder (input '${name}')`,
      )
    }
  }
  if (!inputs.some(({ name }) => name === 'input_ids'))
    throw new GraphError(`this model can't be tuned: it has no input 'input_ids'`)
  const wanted = OUTPUTS[role]
  if (outputs.some(({ name }) => name === wanted)) return
  const names = outputs.map(({ name }) => `'${name}'`).join(', ')
  const hint = role === 'causal' ? '; it is no language model, or only its encoder' : ''
  throw new GraphError(`this model can't be tuned: it has no output '${wanted}', only ${names || 'none'}${hint}`)
}

function theEmbedding(graph: Graph): Embedding {
  const found = findEmbeddings(graph)
  const [first] = found
  if (!first)
    throw new GraphError(`this model can't be tuned: input_ids reach the output, but not through an embedding lookup known here`)
  const other = found.find(({ output }) => output !== first.output)
  if (!other) return first
  throw new GraphError(
    `this model can't be tuned: it has a second embedding table, as models with per-layer embeddings do (input_ids are looked up twice, in '${first.gather.name}' and '${other.gather.name}')`,
  )
}

/** The graph from the embedding's output to `output`. */
function cutGraph(
  model: OnnxModel,
  embedding: Embedding,
  output: string,
): Pick<CutGraph, 'graph' | 'opsets' | 'embedding' | 'inputs_embeds'> {
  checkOpsets(model.opsets)
  const graph = pruneTo(model.graph, output, embedding.output)
  for (const input of graph.inputs) {
    const refusal = input.name === ENCODER_STATES ? undefined : inputRefusal(input)
    if (refusal) throw new GraphError(`this model can't be tuned: ${refusal}`)
  }
  const cut = { name: embedding.output, dtype: embedding.dtype, dims: ['batch_size', 'sequence_length', embedding.hidden_size] }
  return { graph: { ...graph, inputs: [cut, ...graph.inputs] }, opsets: model.opsets, embedding, inputs_embeds: embedding.output }
}

/** The input of fused ops that is a rotary cache [positions, width], by key. */
const ROTARY_CACHES: Readonly<Record<string, number>> = {
  'com.microsoft.GroupQueryAttention': 7,
  'com.microsoft.RotaryEmbedding': 2,
  RotaryEmbedding: 1,
}

/**
 * The rows of a float table [positions, width] that is looked up by something computed (position_ids, a Range, a running sum of
 * the mask) and not by constants or distances, or by a fused op. Where an offset is added to the positions first, as in OPT, those rows
 * are gone.
 */
function maxPositions(graph: Graph): number | null {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)))
  let least: number | null = null
  for (const node of graph.nodes) {
    const cache = graph.initializers.get(node.inputs[ROTARY_CACHES[opKey(node)] ?? -1] ?? '')
    if (cache?.dims.length === 2) least = Math.min(least ?? Infinity, cache.dims[0] ?? 0)
    if (node.op_type !== 'Gather' || node.domain !== '' || intAttribute(node, 'axis', 0) !== 0) continue
    const [data = '', indices = ''] = node.inputs
    const table = graph.initializers.get(data)
    if (table?.dims.length !== 2 || isFixed(graph, producers, indices) || isBucket(producers, indices)) continue
    const rows = (table.dims[0] ?? 0) - offset(graph, producers, producers.get(indices))
    least = Math.min(least ?? rows, rows)
  }
  return least
}

/** Far enough back to find what makes a distance a bucket. */
const BUCKET_NODES = 64

/** Distances between positions, as T5 looks them up: in buckets that grow with their logarithm, so they never run out. */
function isBucket(producers: ReadonlyMap<string, Node>, indices: string): boolean {
  const open = [indices]
  const seen = new Set<Node>()
  for (let name = open.shift(); name !== undefined && seen.size < BUCKET_NODES; name = open.shift()) {
    const node = producers.get(name)
    if (!node || seen.has(node)) continue
    if (node.op_type === 'Log') return true
    seen.add(node)
    open.push(...node.inputs)
  }
  return false
}

function constant(graph: Graph, producers: ReadonlyMap<string, Node>, name: string): Tensor | undefined {
  const value = producers.get(name)?.attributes.get('value')
  return graph.initializers.get(name) ?? (value?.type === 'tensor' ? value.value : undefined)
}

function isFixed(graph: Graph, producers: ReadonlyMap<string, Node>, name: string): boolean {
  return graph.initializers.has(name) || producers.get(name)?.op_type === 'Constant'
}

/** k of Add(positions, k). */
function offset(graph: Graph, producers: ReadonlyMap<string, Node>, node: Node | undefined): number {
  if (node?.op_type !== 'Add') return 0
  for (const name of node.inputs) {
    const tensor = constant(graph, producers, name)
    if (tensor && elementCount(tensor.dims) === 1 && !/float|string/.test(tensor.dtype)) return toIntegers(tensor)[0] ?? 0
  }
  return 0
}

/** Floats of any rank but 0, and 8- or 4-bit matrices: the rest are shapes, indices, masks, scales of one value and zero points. */
function countParameters(graph: Graph): number {
  const used = consumedNames(graph.nodes)
  let count = 0
  for (const [name, { dtype, dims }] of graph.initializers) {
    const isWeight = /float/.test(dtype) ? dims.length > 0 : /^u?int[48]$/.test(dtype) && (dims.length === 2 || dims.length === 3)
    if (isWeight && used.has(name)) count += elementCount(dims)
  }
  return count
}
