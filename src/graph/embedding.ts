/**
 * Finds where a graph looks token ids up in its embedding table, and says how its table is stored. embedding-rows.ts reads the table's rows.
 *
 * This is the one place that knows what an embedding lookup looks like in an export: training cuts the graph there and
 * baking patches it there, and both must mean the same value (before any scaling the model does afterwards).
 */
import { elementCount, type DType, type Graph, type Node, type Tensor } from './ir'
import { toIntegers, viewAs } from './tensor'

export { eachEmbeddingRow, readEmbeddingRows } from './embedding-rows'

/** One lookup of token ids in the embedding table. */
export interface Embedding {
  /** The (sub)graph that holds the nodes; `If` decoders hold one lookup in each branch. */
  readonly graph: Graph
  /** The integer value the rows are picked by: input_ids, or a reshaped view of it. */
  readonly ids: string
  /** Gather, or GatherBlockQuantized. */
  readonly gather: Node
  /** The node that makes `output`: the DequantizeLinear after the Gather, else the Gather itself. */
  readonly last: Node
  /** The rows as floats, [..ids, hidden_size]. */
  readonly output: string
  /** Element type of `output`. */
  readonly dtype: DType
  /** [vocab_size, hidden_size], as stored: floats, or integers with scale and zero point; [hidden_size, vocab_size] if `transposed`. */
  readonly table: Tensor
  readonly transposed: boolean
  readonly scale: Tensor | null
  readonly zero_point: Tensor | null
  /** The dimension of `table` that scale and zero point run along; null for one scale, or one per row and block of columns. */
  readonly axis: 0 | 1 | null
  /** Columns that share a scale (GatherBlockQuantized); null otherwise. */
  readonly block_size: number | null
  /** Rows of the table: the first id it does not know. */
  readonly vocab_size: number
  readonly hidden_size: number
}

/** Graph inputs that carry token ids. */
const ID_INPUTS = new Set(['input_ids', 'decoder_input_ids'])
/** Ops whose output holds the same ids as their first input. */
const PASSES_IDS = new Set(['Identity', 'Cast', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])

/** What is known by name inside a graph; subgraphs see what is around them. */
class Scope {
  readonly ids = new Set<string>()
  readonly producers = new Map<string, Node>()
  /** The nodes of this graph that use a value, each once: made when first asked for, since few graphs need it. */
  private consumers: ReadonlyMap<string, readonly Node[]> | null = null

  constructor(
    readonly graph: Graph,
    readonly outer: Scope | null,
  ) {
    for (const node of graph.nodes) for (const output of node.outputs) this.producers.set(output, node)
  }

  holdsIds(name: string): boolean {
    return this.ids.has(name) || (this.outer?.holdsIds(name) ?? false)
  }

  initializer(name: string): Tensor | undefined {
    return this.graph.initializers.get(name) ?? this.outer?.initializer(name)
  }

  producer(name: string): Node | undefined {
    return this.producers.get(name) ?? this.outer?.producer(name)
  }

  users(name: string): readonly Node[] {
    this.consumers ??= consumersOf(this.graph)
    return this.consumers.get(name) ?? []
  }
}

function consumersOf({ nodes }: Graph): ReadonlyMap<string, readonly Node[]> {
  const consumers = new Map<string, Node[]>()
  for (const node of nodes) {
    for (const input of new Set(node.inputs)) {
      const known = consumers.get(input)
      if (known) known.push(node)
      else consumers.set(input, [node])
    }
  }
  return consumers
}

/**
 * Every embedding lookup reached by token ids, in graph order, those of subgraphs (both branches of a merged decoder)
 * included. Empty when there is none: the graph may take inputs_embeds, or look ids up in a way unknown to us.
 */
export function findEmbeddings(graph: Graph): Embedding[] {
  const found: Embedding[] = []
  const scope = new Scope(graph, null)
  for (const input of graph.inputs) if (ID_INPUTS.has(input.name)) scope.ids.add(input.name)
  visit(scope, found)
  return found
}

function visit(scope: Scope, found: Embedding[]): void {
  for (const node of scope.graph.nodes) {
    const [first = '', second = ''] = node.inputs
    if (isOp(node, '', 'Gather') && scope.holdsIds(second)) {
      const embedding = plainLookup(scope, node)
      if (embedding) found.push(embedding)
    } else if (isOp(node, 'com.microsoft', 'GatherBlockQuantized') && scope.holdsIds(second)) {
      const embedding = blockQuantizedLookup(scope, node)
      if (embedding) found.push(embedding)
    } else if (node.domain === '' && PASSES_IDS.has(node.op_type) && scope.holdsIds(first)) {
      for (const output of node.outputs) scope.ids.add(output)
    }
    for (const attribute of node.attributes.values()) {
      if (attribute.type === 'graph') visit(new Scope(attribute.value, scope), found)
    }
  }
}

function isOp(node: Node, domain: string, op_type: string): boolean {
  return node.domain === domain && node.op_type === op_type
}

function intAttribute(node: Node, name: string, absent: number): number {
  const attribute = node.attributes.get(name)
  return attribute?.type === 'int' ? attribute.value : absent
}

/** Where a table comes from: the constant, and what was done to it on the way to the Gather. */
interface Source {
  readonly table: Tensor
  readonly transposed: boolean
  /** The DequantizeLinear it went through, if any. */
  readonly dequantize: Node | null
}

function constant(scope: Scope, name: string): Tensor | undefined {
  const initializer = scope.initializer(name)
  if (initializer) return initializer
  const node = scope.producer(name)
  if (!node || node.domain !== '') return undefined
  const value = node.op_type === 'Constant' ? node.attributes.get('value') : undefined
  return value?.type === 'tensor' ? value.value : undefined
}

function tableSource(scope: Scope, name: string): Source | null {
  let transposed = false
  let dequantize: Node | null = null
  // A chain this long (Identity, Transpose, DequantizeLinear) is never met; the bound stops circular files.
  for (let hops = 0; hops < 8; hops++) {
    const table = constant(scope, name)
    if (table) return table.dims.length === 2 ? { table, transposed, dequantize } : null
    const node = scope.producer(name)
    if (!node || node.domain !== '') return null
    if (node.op_type === 'DequantizeLinear' && !dequantize) dequantize = node
    // Behind a DequantizeLinear a Transpose would change what its axis means; no exporter writes that.
    else if (node.op_type === 'Transpose' && !dequantize) transposed = swaps(node) ? !transposed : transposed
    else if (node.op_type !== 'Identity') return null
    name = node.inputs[0] ?? ''
  }
  return null
}

/** Whether a Transpose of a matrix exchanges its dimensions (perm may say to leave them). */
function swaps(node: Node): boolean {
  const perm = node.attributes.get('perm')
  return perm?.type !== 'ints' || perm.value[0] !== 0
}

/** Gather from a float table, from one dequantised before, or from an integer one dequantised right after. */
function plainLookup(scope: Scope, gather: Node): Embedding | null {
  const [data = '', ids = ''] = gather.inputs
  const output = gather.outputs[0]
  const source = tableSource(scope, data)
  const axis = intAttribute(gather, 'axis', 0)
  if (!source || output === undefined || (axis !== 0 && axis !== -2)) return null
  const { table, transposed } = source
  const [vocab_size = 0, hidden_size = 0] = transposed ? [...table.dims].reverse() : table.dims
  const common = { graph: scope.graph, ids, gather, table, transposed, vocab_size, hidden_size }
  const plain = { scale: null, zero_point: null, axis: null, block_size: null }
  if (source.dequantize) {
    const scales = quantization(scope, source.dequantize, table)
    return scales && { ...common, ...scales, last: gather, output, dtype: scales.scale.dtype }
  }
  if (/float/.test(table.dtype)) return { ...common, ...plain, last: gather, output, dtype: table.dtype }
  if (transposed) return null

  const users = scope.users(output)
  const [dequantize] = users
  const cut = dequantize?.outputs[0]
  if (users.length !== 1 || !dequantize || cut === undefined || !isOp(dequantize, '', 'DequantizeLinear')) return null
  const scales = quantization(scope, dequantize, table, 'rows')
  return scales && { ...common, ...scales, last: dequantize, output: cut, dtype: scales.scale.dtype }
}

/**
 * Scale, zero point and their axis in terms of the table. After a Gather ('rows'), the node's axis counts dimensions of
 * the looked-up rows: only the last one, the columns, is the same for every id.
 */
function quantization(
  scope: Scope,
  node: Node,
  table: Tensor,
  of: 'table' | 'rows' = 'table',
): { scale: Tensor; zero_point: Tensor | null; axis: 0 | 1 | null; block_size: null } | null {
  const [, scaleName = '', zeroName = ''] = node.inputs
  const scale = constant(scope, scaleName)
  const zero_point = zeroName === '' ? null : constant(scope, zeroName)
  if (!scale || zero_point === undefined || intAttribute(node, 'block_size', 0) !== 0) return null
  const entries = scale.dims.reduce((product, dim) => product * dim, 1)
  const declared = intAttribute(node, 'axis', 1)
  const axis = declared < 0 ? declared + 2 : declared
  if (entries === 1) return { scale, zero_point, axis: null, block_size: null }
  const along = of === 'rows' ? (declared === -1 || declared >= 2 ? 1 : null) : axis === 0 || axis === 1 ? axis : null
  if (along === null || scale.dims.length !== 1 || entries !== table.dims[along]) return null
  return { scale, zero_point, axis: along, block_size: null }
}

/** A constant, or one reshaped: a table tied to its head is stored as the head has it, [vocab_size, blocks, bytes]. */
function reshapedConstant(scope: Scope, name: string): Tensor | undefined {
  const stored = constant(scope, name)
  const node = stored ? undefined : scope.producer(name)
  if (!node || !isOp(node, '', 'Reshape')) return stored
  const [data = '', shape = ''] = node.inputs
  const [from, to] = [constant(scope, data), constant(scope, shape)]
  if (!from || to?.dtype !== 'int64') return undefined
  const count = elementCount(from.dims)
  const asked = toIntegers(to).map((dim, axis) => (dim === 0 ? (from.dims[axis] ?? 0) : dim))
  const known = asked.reduce((product, dim) => (dim === -1 ? product : product * dim), 1)
  const dims = asked.map((dim) => (dim === -1 ? count / known : dim))
  return elementCount(dims) === count && dims.every((dim) => Number.isInteger(dim) && dim > 0) ? viewAs(from, dims) : undefined
}

/** https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GatherBlockQuantized */
function blockQuantizedLookup(scope: Scope, gather: Node): Embedding | null {
  const [data = '', ids = '', scaleName = '', zeroName = ''] = gather.inputs
  const output = gather.outputs[0]
  const table = reshapedConstant(scope, data)
  const scale = reshapedConstant(scope, scaleName)
  const zero_point = zeroName === '' ? null : reshapedConstant(scope, zeroName)
  const quantizeAxis = intAttribute(gather, 'quantize_axis', 1)
  if (!table || !scale || zero_point === undefined || output === undefined || table.dims.length !== 2) return null
  if (intAttribute(gather, 'gather_axis', 0) !== 0 || (quantizeAxis !== 1 && quantizeAxis !== -1)) return null
  const bits = intAttribute(gather, 'bits', 4)
  if (bits !== 4 && bits !== 8) return null
  const [vocab_size = 0, columns = 0] = table.dims
  // uint8 data holds two 4-bit numbers a byte and says only how many bytes a row has.
  const packed = table.dtype === 'uint8' && bits === 4
  const hidden_size = packed ? columns * 2 : columns
  const unpacked: Tensor = packed ? viewAs(table, [vocab_size, hidden_size], 'uint4') : table
  const zeros: Tensor | null =
    zero_point && packed && zero_point.dtype === 'uint8'
      ? viewAs(zero_point, [zero_point.dims[0] ?? 0, (zero_point.dims[1] ?? 0) * 2], 'uint4')
      : zero_point
  return {
    graph: scope.graph,
    ids,
    gather,
    last: gather,
    output,
    dtype: scale.dtype,
    table: unpacked,
    transposed: false,
    scale,
    // Without zero points unsigned bytes are centred, and the 4-bit types proper are not.
    zero_point: zeros ?? (table.dtype === 'uint8' ? { dtype: 'uint8', dims: [], bytes: Uint8Array.of(2 ** (bits - 1)) } : null),
    axis: null,
    block_size: intAttribute(gather, 'block_size', 128),
    vocab_size,
    hidden_size,
  }
}
