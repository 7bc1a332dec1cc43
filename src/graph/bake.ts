/**
 * Bakes a tuned prompt into a copy of an ONNX file: ids from vocab_size on look up the prompt's rows, all other ids what
 * they always did. Plain transformers.js and onnxruntime then run the tuned model, knowing nothing of us.
 *
 * Each embedding lookup `rows = Gather(table, ids)` (a DequantizeLinear may follow) becomes
 *
 *     id32    = Cast(ids, int32)            int32: onnxruntime's WebGPU provider has no int64 kernels
 *     known   = Less(id32, vocab_size)
 *     rows'   = Gather(table, Where(known, id32, 0))
 *     soft    = Gather(prompt, Where(known, 0, id32 - vocab_size))
 *     rows    = Where(Unsqueeze(known, -1), rows', soft)
 *
 * The file is patched on the wire (`patch.ts`), so everything else in it stays as it is, byte for byte, and weights are
 * passed on as views or slices. External data files are not needed and not touched.
 */
import { findEmbeddings, type Embedding } from './embedding'
import { GraphError, type Attribute, type Graph, type Node, type Tensor } from './ir'
import { patchModel, type GraphPatch, type NodePatch } from './patch'
import { readModel } from './read'
import type { ByteSource, Chunk } from './source'
import { float32ToFloat16, fromFloat32, fromIntegers } from './tensor'

/** Virtual tokens as rows [num_virtual_tokens, hidden_size], row-major, in the space of the embedding lookup's output. */
export interface PromptRows {
  readonly rows: Float32Array
  readonly num_virtual_tokens: number
  readonly hidden_size: number
}

export interface BakedModel {
  /** The new file, in chunks to put one after the other. */
  readonly chunks: Chunk[]
  /** The id of the first virtual token; the others follow. It equals the rows of the embedding table. */
  readonly first_token_id: number
}

const PREFIX = 'soft_prompt'

/**
 * Bakes `prompt` into a model file.
 * @throws GraphError when the file can't be read, has no embedding lookup or already a baked prompt, or the prompt does
 *   not fit it (width, finiteness, element type)
 */
export function bakePrompt(file: Uint8Array | ByteSource, prompt: PromptRows): BakedModel {
  const model = readModel(file, { skipExternal: true })
  const opset = model.opsets.get('') ?? 0
  if (opset < 11) throw new GraphError(`baking needs operator set 11 or newer, this model has ${opset}`)
  const embeddings = findEmbeddings(model.graph)
  const first = embeddings[0]
  if (model.graph.initializers.has(`${PREFIX}.vocab_size`)) throw new GraphError('this model already holds a baked prompt')
  if (!first) throw new GraphError('no embedding lookup of input_ids was found in this model')
  checkPrompt(prompt, embeddings)

  const initializers = new Map<string, Tensor>([
    [`${PREFIX}.vocab_size`, fromIntegers('int32', [], [first.vocab_size])],
    [`${PREFIX}.zero`, fromIntegers('int32', [], [0])],
  ])
  for (const { dtype } of embeddings) initializers.set(`${PREFIX}.rows.${dtype}`, promptTensor(prompt, dtype))
  if (opset >= 13) initializers.set(`${PREFIX}.last_axis`, fromIntegers('int64', [1], [-1]))

  const patches = new Map<Graph, GraphPatch>()
  embeddings.forEach((embedding, index) => {
    const patch = patches.get(embedding.graph) ?? { nodes: new Map<Node, NodePatch>() }
    patches.set(embedding.graph, patch)
    patchLookup(patch.nodes, embedding, `${PREFIX}.${index}`, opset)
  })
  return { chunks: patchModel(file, model.graph, patches, initializers), first_token_id: first.vocab_size }
}

function checkPrompt(prompt: PromptRows, embeddings: readonly Embedding[]): void {
  const { rows, num_virtual_tokens, hidden_size } = prompt
  if (!Number.isInteger(num_virtual_tokens) || num_virtual_tokens < 1)
    throw new GraphError('a prompt needs at least one virtual token')
  if (rows.length !== num_virtual_tokens * hidden_size) {
    throw new GraphError(`prompt rows: ${rows.length} numbers for ${num_virtual_tokens} x ${hidden_size}`)
  }
  const bad = rows.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0)
    throw new GraphError(`prompt row ${Math.floor(bad / hidden_size)}, column ${bad % hidden_size} is ${rows[bad] ?? NaN}`)
  const [first] = embeddings
  for (const embedding of embeddings) {
    if (embedding.hidden_size !== hidden_size) {
      throw new GraphError(`the prompt is ${hidden_size} wide, but embedding "${embedding.output}" is ${embedding.hidden_size}`)
    }
    if (embedding.vocab_size !== first?.vocab_size) {
      throw new GraphError(
        `embedding tables of ${first?.vocab_size ?? 0} and ${embedding.vocab_size} rows: no id is free in both`,
      )
    }
  }
  const lasts = new Set(embeddings.map((embedding) => embedding.last))
  if (lasts.size !== embeddings.length) throw new GraphError('two lookups share a node')
}

/** The rows in the element type of the lookup. */
function promptTensor(prompt: PromptRows, dtype: Embedding['dtype']): Tensor {
  const dims = [prompt.num_virtual_tokens, prompt.hidden_size]
  if (dtype === 'float32') return fromFloat32(dims, prompt.rows)
  if (dtype !== 'float16') throw new GraphError(`baking into ${dtype} embeddings is not supported`)
  const bits = Uint16Array.from(prompt.rows, float32ToFloat16)
  const infinite = bits.findIndex((half) => (half & 0x7fff) === 0x7c00)
  if (infinite >= 0) throw new GraphError(`prompt value ${prompt.rows[infinite] ?? NaN} is beyond float16`)
  return { dtype, dims, bytes: new Uint8Array(bits.buffer) }
}

function patchLookup(nodes: Map<Node, NodePatch>, embedding: Embedding, prefix: string, opset: number): void {
  const id32 = `${prefix}.ids`
  const known = `${prefix}.known`
  const plainIds = `${prefix}.plain_ids`
  const before: Node[] = [
    node('Cast', [embedding.ids], id32, { type: 'int', value: 6 }, 'to'),
    node('Less', [id32, `${PREFIX}.vocab_size`], known),
    node('Where', [known, id32, `${PREFIX}.zero`], plainIds),
  ]
  const plain = `${prefix}.plain`
  const knownRows = `${prefix}.known_rows`
  const unsqueeze =
    opset >= 13
      ? node('Unsqueeze', [known, `${PREFIX}.last_axis`], knownRows)
      : node('Unsqueeze', [known], knownRows, { type: 'ints', value: [-1] }, 'axes')
  const after: Node[] = [
    node('Sub', [id32, `${PREFIX}.vocab_size`], `${prefix}.offsets`),
    node('Where', [known, `${PREFIX}.zero`, `${prefix}.offsets`], `${prefix}.soft_ids`),
    node('Gather', [`${PREFIX}.rows.${embedding.dtype}`, `${prefix}.soft_ids`], `${prefix}.soft`),
    unsqueeze,
    { ...node('Where', [knownRows, plain, `${prefix}.soft`], embedding.output), name: `${prefix}.rows` },
  ]
  const inputs = new Map([[1, plainIds]])
  const outputs = new Map([[0, plain]])
  if (embedding.last === embedding.gather) {
    nodes.set(embedding.gather, { before, after, inputs, outputs })
  } else {
    nodes.set(embedding.gather, { before, inputs })
    nodes.set(embedding.last, { after, outputs })
  }
}

function node(op_type: string, inputs: readonly string[], output: string, attribute?: Attribute, key = ''): Node {
  return {
    op_type,
    domain: '',
    name: output,
    inputs,
    outputs: [output],
    attributes: new Map(attribute ? [[key, attribute]] : []),
  }
}
