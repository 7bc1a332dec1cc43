/**
 * The same function in other coordinates: a causal ONNX model whose residual stream x [.., H] is carried as x T, with T [H, H2] and
 * T T' = s I. Scaling (T = c I), rotation (T orthogonal) and widening (T = [I I]) are of this kind. Embedding rows become E T, what writes to the stream W T,
 * what reads it (behind an RMS norm with weight w) (g / s) T' diag(w) W with g = sqrt(s H / H2), the norm's epsilon g^2 of what it was. Logits do not
 * change; the spread of the embedding table, its coordinates or its width do. For models that norm by RMS and read the stream through plain MatMuls only
 * (Llama-like float32 exports, heads untied); any other is an error that names the node.
 */
import type { Attribute, Node, OnnxModel, Tensor } from '../../src/graph/ir'
import { findEmbeddings } from '../../src/graph/embedding'
import { fromFloat32, toFloat32 } from '../../src/graph/tensor'

/** T, row-major [rows, columns], rows orthogonal and equally long. */
export interface Basis {
  readonly rows: number
  readonly columns: number
  readonly values: Float64Array
}

const basisOf = (rows: number, columns: number, value: (row: number, column: number) => number): Basis => ({
  rows,
  columns,
  values: Float64Array.from({ length: rows * columns }, (_, i) => value(Math.floor(i / columns), i % columns)),
})

/** x -> c x */
export const scaling = (size: number, factor: number): Basis => basisOf(size, size, (i, j) => (i === j ? factor : 0))

/** x -> [x x ... x], `times` of them */
export const repetition = (size: number, times: number): Basis => basisOf(size, size * times, (i, j) => (j % size === i ? 1 : 0))

/** A random orthogonal T: Gram-Schmidt on normal numbers. @param normal draws them */
export function rotation(size: number, normal: () => number): Basis {
  const { values } = basisOf(size, size, normal)
  for (let i = 0; i < size; i++) {
    const row = values.subarray(i * size, (i + 1) * size)
    // Twice, for what rounding leaves of the first time.
    for (let k = 0; k < 2 * i; k++) {
      const other = values.subarray((k % i) * size, ((k % i) + 1) * size)
      const along = row.reduce((sum, x, j) => sum + x * (other[j] ?? 0), 0)
      row.forEach((x, j) => (row[j] = x - along * (other[j] ?? 0)))
    }
    const length = Math.hypot(...row)
    row.forEach((x, j) => (row[j] = x / length))
  }
  return { rows: size, columns: size, values }
}

/** [m, rows] times T, or [m, k] times any row-major [k, n]. */
function product(a: Float32Array, b: Float64Array, inner: number, columns: number): Float32Array {
  const rows = a.length / inner
  const out = new Float32Array(rows * columns)
  const sum = new Float64Array(columns)
  for (let i = 0; i < rows; i++) {
    sum.fill(0)
    for (let k = 0; k < inner; k++) {
      const x = a[i * inner + k] ?? NaN
      for (let j = 0; j < columns; j++) sum[j] = (sum[j] ?? NaN) + x * (b[k * columns + j] ?? NaN)
    }
    out.set(sum, i * columns)
  }
  return out
}

function transposed({ rows, columns, values }: Basis): Float32Array {
  return Float32Array.from({ length: values.length }, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)] ?? NaN)
}

/** What the nodes around the residual stream are. */
interface Stream {
  readonly table: string
  /** Weights of MatMuls whose product is added to the stream. */
  readonly writers: ReadonlySet<string>
  /** Weights of MatMuls behind a norm, and that norm's weight. */
  readonly readers: ReadonlyMap<string, string>
  /** Values the norms add to the mean square. */
  readonly epsilons: ReadonlySet<string>
}

const fail = (node: Node, why: string): never => {
  throw new Error(`${node.op_type} ${node.name}: ${why}; this model can't be put in other coordinates`)
}

/** Follows the stream from the embedding on. The nodes are in the order they run in. */
function streamOf({ graph }: OnnxModel, hidden: number): Stream {
  const [embedding, ...others] = findEmbeddings(graph)
  if (!embedding || others.length > 0) throw new Error('one embedding lookup is wanted')
  const { nodes, initializers } = graph
  const maker = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const lookup = nodes.find(
    ({ outputs, op_type, inputs }) => op_type === 'Gather' && outputs.includes(embedding.output) && inputs[0] !== undefined,
  )
  const table = lookup?.inputs[0]
  if (table === undefined || !initializers.has(table)) throw new Error('the embedding lookup is no Gather of a constant')
  const isVector = (name: string): boolean => initializers.get(name)?.dims.join() === String(hidden)
  const stream = new Set([embedding.output])
  /** Mean squares of it, what is made of those, and the normed stream; each but the last without its weight. */
  const scales = new Set<string>()
  const bare = new Set<string>()
  const normed = new Map<string, string>()
  const writers = new Set<string>()
  const readers = new Map<string, string>()
  const epsilons = new Set<string>()
  for (const node of nodes) {
    const { op_type, inputs, outputs } = node
    const [out] = outputs
    if (out === undefined || op_type === 'Shape') continue
    const [one, two] = inputs
    const other = (known: ReadonlySet<string>): string => inputs.find((name) => !known.has(name)) ?? ''
    if (inputs.some((name) => stream.has(name))) {
      if (op_type === 'Cast') stream.add(out)
      else if (op_type === 'Pow') scales.add(out)
      else if (op_type === 'Mul' && inputs.some((name) => scales.has(name))) bare.add(out)
      else if (op_type === 'Add') {
        stream.add(out)
        const written = maker.get(other(stream))
        const weight = written?.op_type === 'MatMul' ? written.inputs[1] : undefined
        if (weight === undefined || !initializers.has(weight)) fail(node, 'adds what no MatMul with a constant made')
        else writers.add(weight)
      } else fail(node, 'reads the residual stream')
    } else if (inputs.some((name) => scales.has(name))) {
      scales.add(out)
      if (op_type === 'Add') epsilons.add(other(scales))
    } else if (inputs.some((name) => bare.has(name))) {
      const weight = other(bare)
      if (op_type === 'Cast') bare.add(out)
      else if (op_type === 'Mul' && isVector(weight)) normed.set(out, weight)
      else fail(node, 'reads the normed stream before its weight')
    } else if (inputs.some((name) => normed.has(name))) {
      const weight = normed.get(one ?? '')
      if (op_type !== 'MatMul' || two === undefined || weight === undefined || !initializers.has(two))
        fail(node, 'reads the normed stream')
      else readers.set(two, weight)
    }
  }
  return { table, writers, readers, epsilons }
}

/** @throws Error when the model is not of the kind said above */
export function rebased(model: OnnxModel, basis: Basis): OnnxModel {
  const { rows: H, columns, values } = basis
  const { graph } = model
  const stream = streamOf(model, H)
  const length = values.subarray(0, columns).reduce((sum, x) => sum + x * x, 0)
  const growth = Math.sqrt((length * H) / columns)
  const initializers = new Map(graph.initializers)
  const floats = (name: string): Float32Array => {
    const tensor = graph.initializers.get(name)
    if (tensor?.dtype !== 'float32') throw new Error(`${name} is not float32`)
    return toFloat32(tensor)
  }
  const write = (name: string): void => {
    const old = floats(name)
    initializers.set(name, fromFloat32([old.length / H, columns], product(old, values, H, columns)))
  }
  write(stream.table)
  stream.writers.forEach(write)
  const back = transposed(basis).map((x) => (x * growth) / length)
  for (const [name, norm] of stream.readers) {
    const weight = floats(norm)
    const old = floats(name)
    const out = old.length / H
    const weighed = Float64Array.from(old, (x, i) => x * (weight[Math.floor(i / out)] ?? NaN))
    initializers.set(name, fromFloat32([columns, out], product(back, weighed, H, out)))
  }
  for (const norm of new Set(stream.readers.values()))
    initializers.set(norm, fromFloat32([columns], new Float32Array(columns).fill(1)))
  const nodes = graph.nodes.map((node) => (stream.epsilons.has(node.outputs[0] ?? '') ? withEpsilon(node, growth ** 2) : node))
  return { ...model, graph: { ...graph, nodes, initializers } }
}

/** A Constant node with its number times `factor`. */
function withEpsilon(node: Node, factor: number): Node {
  const value = node.attributes.get('value')
  if (node.op_type !== 'Constant' || value?.type !== 'tensor') return fail(node, "is a norm's epsilon and no Constant")
  const tensor: Tensor = fromFloat32(
    value.value.dims,
    toFloat32(value.value).map((x) => x * factor),
  )
  const attribute: Attribute = { type: 'tensor', value: tensor }
  return { ...node, attributes: new Map([...node.attributes, ['value', attribute]]) }
}
