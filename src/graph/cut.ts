/**
 * The part of a model that is trained through: from the output of its embedding lookup to the logits, everything else pruned.
 *
 * It decides what kind of model a file is and refuses, by name, what can't be tuned. It knows no input shape yet
 * (specialize.ts) and does not look at single ops (coverage.ts).
 */
import { findEmbeddings, type Embedding } from './embedding'
import { intAttribute } from './host/attributes'
import { inlineMerged } from './inline'
import { elementCount, GraphError, type Graph, type Node, type OnnxModel, type Tensor } from './ir'
import { inputRefusal } from './specialize/inputs'
import { consumedNames, pruneTo } from './specialize/prune'
import { toIntegers } from './tensor'

/** A flat graph cut open at one value. */
export interface CutGraph {
  /** Only what the output depends on, in execution order; the cut value is one of its inputs. */
  readonly graph: Graph
  /** Operator set version by domain. */
  readonly opsets: ReadonlyMap<string, number>
  readonly embedding: Embedding
  /** Name of the cut value, [batch, sequence, hidden_size]. */
  readonly inputs_embeds: string
}

export interface CutModel extends CutGraph {
  readonly kind: 'causal-lm'
  /** Name of the output, [batch, sequence, vocabulary]. */
  readonly logits: string
  readonly hidden_size: number
  /** Rows of the embedding table. */
  readonly vocab_size: number
  /** Rows of the learned position table, if the graph has one; virtual tokens count. */
  readonly max_positions: number | null
  /** Numbers in the weights that embedding and logits depend on; a weight stored twice counts twice. */
  readonly parameters: number
}

/** Inputs that tell what a graph is for, and why it is not tuned. */
const FOREIGN_INPUTS: readonly (readonly [RegExp, string])[] = [
  [/^encoder_/, 'it is the decoder of an encoder-decoder model, which is not supported yet'],
  [/^decoder_input_ids$/, 'it is an encoder-decoder model in one file, which is not supported'],
  [/^pixel_(values|mask)$|^image_/, 'it is a vision model'],
  [/^input_(features|values)$|^audio_/, 'it is a speech or audio model'],
  [/^inputs_embeds$/, 'it already takes inputs_embeds: its embedding table is in another file, which is not supported yet'],
]

/**
 * Cuts a text-generation model at its embedding lookup.
 * @throws GraphError saying why this model can't be tuned, or where the graph is broken
 */
export function cutModel(model: OnnxModel): CutModel {
  const flat = inlineMerged(model)
  refuseForeign(flat.graph)
  const logits = 'logits'
  const whole = pruneTo(flat.graph, logits)
  const embedding = theEmbedding(whole)
  const cut = cutGraph(flat, embedding, logits)
  return {
    kind: 'causal-lm',
    ...cut,
    logits,
    hidden_size: embedding.hidden_size,
    vocab_size: embedding.vocab_size,
    max_positions: maxPositions(cut.graph),
    parameters: countParameters(whole),
  }
}

function refuseForeign({ inputs, outputs }: Graph): void {
  for (const { name } of inputs) {
    const found = FOREIGN_INPUTS.find(([pattern]) => pattern.test(name))
    if (found) throw new GraphError(`this model can't be tuned: ${found[1]} (input '${name}')`)
  }
  if (!inputs.some(({ name }) => name === 'input_ids'))
    throw new GraphError(`this model can't be tuned: it has no input 'input_ids'`)
  if (outputs.some(({ name }) => name === 'logits')) return
  const names = outputs.map(({ name }) => `'${name}'`).join(', ')
  throw new GraphError(
    `this model can't be tuned: it has no output 'logits', only ${names || 'none'}; it is no language model, or only its encoder`,
  )
}

function theEmbedding(graph: Graph): Embedding {
  const found = findEmbeddings(graph)
  const [first] = found
  if (!first)
    throw new GraphError(`this model can't be tuned: input_ids reach the logits, but not through an embedding lookup known here`)
  const other = found.find(({ output }) => output !== first.output)
  if (!other) return first
  throw new GraphError(
    `this model can't be tuned: input_ids are looked up twice, in '${first.gather.name}' and '${other.gather.name}'`,
  )
}

/** The graph from the embedding's output to `output`. */
function cutGraph(model: OnnxModel, embedding: Embedding, output: string): CutGraph {
  const graph = pruneTo(model.graph, output, embedding.output)
  for (const input of graph.inputs) {
    const refusal = inputRefusal(input)
    if (refusal) throw new GraphError(`this model can't be tuned: ${refusal}`)
  }
  const cut = { name: embedding.output, dtype: embedding.dtype, dims: ['batch_size', 'sequence_length', embedding.hidden_size] }
  return { graph: { ...graph, inputs: [cut, ...graph.inputs] }, opsets: model.opsets, embedding, inputs_embeds: embedding.output }
}

/**
 * The rows of a float table [positions, width] that is looked up by something computed (position_ids, a Range, a running sum of
 * the mask) and not by constants. Where an offset is added to the positions first, as in OPT, those rows are gone.
 */
function maxPositions(graph: Graph): number | null {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)))
  let least: number | null = null
  for (const node of graph.nodes) {
    if (node.op_type !== 'Gather' || node.domain !== '' || intAttribute(node, 'axis', 0) !== 0) continue
    const [data = '', indices = ''] = node.inputs
    const table = graph.initializers.get(data)
    if (table?.dims.length !== 2 || isFixed(graph, producers, indices)) continue
    const rows = (table.dims[0] ?? 0) - offset(graph, producers, producers.get(indices))
    least = Math.min(least ?? rows, rows)
  }
  return least
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
