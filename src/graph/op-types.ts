/**
 * Shape and type of what each op of a Program computes, from those of its inputs: ONNX's shape inference for the device
 * dialect. It checks that the inputs fit, so a wrong rewrite fails where it is made and not in an engine.
 */
import { elementCount, GraphError } from './ir'
import { checkPacked, weightDims } from './packed'
import type { Op, ValueType } from './program'

/** Omit, over each member of a union by itself. */
type Without<Member, Key extends PropertyKey> = Member extends unknown ? Omit<Member, Key> : never
/** An op whose outputs have no names yet. */
export type OpDraft = Without<Op, 'outputs'>

/**
 * Axis counted from the front.
 * @throws GraphError when there is no such axis
 */
export function positiveAxis(axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(axis) || positive < 0 || positive >= rank) throw new GraphError(`axis ${axis} of rank ${rank}`)
  return positive
}

/** numpy broadcasting of any number of shapes; undefined where they don't fit. */
export function broadcastDims(...shapes: (readonly number[])[]): number[] | undefined {
  const rank = Math.max(0, ...shapes.map((dims) => dims.length))
  const out = new Array<number>(rank).fill(1)
  for (const dims of shapes) {
    for (const [i, dim] of dims.entries()) {
      const axis = rank - dims.length + i
      if (dim === 1) continue
      if (out[axis] !== 1 && out[axis] !== dim) return undefined
      out[axis] = dim
    }
  }
  return out
}

export function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i])
}

/** Does numpy broadcasting bring `dims` to exactly `target`? */
export function broadcastsTo(dims: readonly number[], target: readonly number[]): boolean {
  const result = broadcastDims(dims, target)
  return result !== undefined && sameDims(result, target)
}

/** Rank and dims after a reduction. */
export function reducedDims(dims: readonly number[], axes: readonly number[], keepdims: boolean): number[] {
  const reduced = new Set(axes.map((axis) => positiveAxis(axis, dims.length)))
  if (keepdims) return dims.map((dim, axis) => (reduced.has(axis) ? 1 : dim))
  return dims.filter((_, axis) => !reduced.has(axis))
}

/**
 * Types of the outputs of an op, in order.
 * @throws GraphError naming op, node and shapes when the inputs don't fit
 */
export function outputTypes(op: OpDraft, inputs: readonly ValueType[]): ValueType[] {
  const shapes = () => inputs.map((type) => `${type.dtype}[${type.dims.join(', ')}]`).join(', ')
  const fail = (why: string): never => {
    throw new GraphError(`${op.op} '${op.name}' of (${shapes()}): ${why}`)
  }
  try {
    return inferTypes(op, inputs, fail)
  } catch (error) {
    if (error instanceof GraphError && !error.message.startsWith(op.op)) fail(error.message)
    throw error
  }
}

function inferTypes(op: OpDraft, inputs: readonly ValueType[], fail: (why: string) => never): ValueType[] {
  const type = (i: number): ValueType => inputs[i] ?? fail(`input ${i} is missing`)
  const dims = (i: number): readonly number[] => type(i).dims
  const dim = (i: number, axis: number): number => dims(i)[positiveAxis(axis, dims(i).length)] ?? fail(`no axis ${axis}`)
  const need = (fits: boolean, why: string): void => {
    if (!fits) fail(why)
  }
  const float = (shape: readonly number[]): ValueType => ({ dtype: 'float32', dims: shape })
  const broadcast = (...which: number[]): number[] => broadcastDims(...which.map(dims)) ?? fail("the shapes don't broadcast")
  /** (dy, x, ...) -> dx where dy and x have one shape. */
  const gradientLike = (): ValueType[] => {
    need(sameDims(dims(0), dims(1)), 'gradient and value differ in shape')
    return [type(1)]
  }

  switch (op.op) {
    case 'Neg':
    case 'Abs':
    case 'Reciprocal':
    case 'Sqrt':
    case 'Exp':
    case 'Log':
    case 'Erf':
    case 'Tanh':
    case 'Sigmoid':
    case 'Relu':
    case 'Sin':
    case 'Cos':
    case 'Not':
    case 'Gelu':
    case 'Silu':
    case 'Barrier':
      return [type(0)]
    case 'Add':
    case 'Sub':
    case 'Mul':
    case 'Div':
    case 'Pow':
    case 'Max':
    case 'Min':
      return [{ dtype: type(0).dtype, dims: broadcast(0, 1) }]
    case 'Greater':
    case 'Equal':
      return [{ dtype: 'bool', dims: broadcast(0, 1) }]
    case 'Where':
      return [{ dtype: type(1).dtype, dims: broadcast(0, 1, 2) }]
    case 'MatMul':
    case 'DynamicQuantizedMatMul':
    case 'DynamicQuantizedMatMulGrad': {
      const transA = op.op === 'MatMul' && op.attrs.transA
      const transB = op.op === 'MatMul' ? op.attrs.transB : op.op === 'DynamicQuantizedMatMulGrad'
      return [float(matMulDims(dims(0), dims(1), transA, transB) ?? fail("the shapes don't multiply"))]
    }
    case 'PackedMatMul':
    case 'PackedMatMulGrad': {
      const [k, n] = weightDims(op.attrs)
      const [from, to] = op.op === 'PackedMatMul' ? [k, n] : [n, k]
      need(dims(0).length >= 2 && dim(0, -1) === from, `the weight is [${k}, ${n}]`)
      checkPacked(op.attrs, elementCount(dims(1)), elementCount(dims(2)), inputs.length > 3 ? elementCount(dims(3)) : null)
      return [float([...dims(0).slice(0, -1), to])]
    }
    case 'Softmax':
    case 'LogSoftmax':
      positiveAxis(op.attrs.axis, dims(0).length)
      return [type(0)]
    case 'ReduceSum':
    case 'ReduceMean':
    case 'ReduceMax':
      return [{ dtype: type(0).dtype, dims: reducedDims(dims(0), op.attrs.axes, op.attrs.keepdims) }]
    case 'Reshape':
      need(elementCount(op.attrs.dims) === elementCount(dims(0)), `[${op.attrs.dims.join(', ')}] has another size`)
      return [{ dtype: type(0).dtype, dims: op.attrs.dims }]
    case 'Expand':
      need(broadcastsTo(dims(0), op.attrs.dims), `does not expand to [${op.attrs.dims.join(', ')}]`)
      return [{ dtype: type(0).dtype, dims: op.attrs.dims }]
    case 'Transpose': {
      const { perm } = op.attrs
      need(perm.length === dims(0).length && new Set(perm).size === perm.length, `perm [${perm.join(', ')}] does not fit`)
      return [{ dtype: type(0).dtype, dims: perm.map((axis) => dim(0, axis)) }]
    }
    case 'Concat': {
      const axis = positiveAxis(op.attrs.axis, dims(0).length)
      const fits = inputs.every(
        (other) => other.dims.length === dims(0).length && other.dims.every((size, i) => i === axis || size === dims(0)[i]),
      )
      need(fits, 'the other axes differ')
      const total = inputs.reduce((sum, other) => sum + (other.dims[axis] ?? 0), 0)
      return [{ dtype: type(0).dtype, dims: dims(0).map((size, i) => (i === axis ? total : size)) }]
    }
    case 'Slice': {
      const { axis, start, end } = op.attrs
      need(0 <= start && start <= end && end <= dim(0, axis), `[${start}, ${end}) is outside the axis`)
      return [{ dtype: type(0).dtype, dims: replaceDim(dims(0), axis, end - start) }]
    }
    case 'Pad': {
      const { axis, before, after } = op.attrs
      need(before >= 0 && after >= 0, 'negative padding')
      return [{ dtype: type(0).dtype, dims: replaceDim(dims(0), axis, dim(0, axis) + before + after) }]
    }
    case 'Gather': {
      const axis = positiveAxis(op.attrs.axis, dims(0).length)
      return [{ dtype: type(0).dtype, dims: [...dims(0).slice(0, axis), ...dims(1), ...dims(0).slice(axis + 1)] }]
    }
    case 'ArgMax':
      need(dims(0).length > 0, 'a scalar has no last axis')
      return [{ dtype: 'int32', dims: dims(0).slice(0, -1) }]
    case 'LayerNorm':
    case 'RMSNorm':
      for (let i = 1; i < inputs.length; i++) need(sameDims(dims(i), [dim(0, -1)]), 'scale and bias are not [H]')
      return [type(0)]
    case 'LayerNormGrad':
    case 'RMSNormGrad':
    case 'GeluGrad':
    case 'SiluGrad':
      return gradientLike()
    case 'RotaryEmbedding':
    case 'RotaryEmbeddingGrad':
      need(dim(0, -1) % 2 === 0, 'the last axis is odd')
      need(broadcastsTo(dims(1), dims(0)) && broadcastsTo(dims(2), dims(0)), "cos and sin don't broadcast to x")
      return [type(0)]
    case 'Attention': {
      const [scores, heads] = [[dim(0, 0), dim(0, 1), dim(0, 2), dim(1, 2)], dim(1, 1)]
      const ranks = [0, 1, 2].every((i) => dims(i).length === 4 && dim(i, 0) === dim(0, 0))
      need(ranks, 'q, k and v are not [batch, heads, length, size] of one batch')
      need(dim(0, 3) === dim(1, 3) && heads === dim(2, 1) && dim(1, 2) === dim(2, 2), "q, k and v don't fit")
      need(dim(0, 1) % heads === 0, 'query heads are not a multiple of key heads')
      need(inputs.length < 4 || broadcastsTo(dims(3), scores), 'the mask does not broadcast to the scores')
      return [float([...scores.slice(0, 3), dim(2, 3)]), float(scores)]
    }
    case 'AttentionGrad':
      return [type(1), type(2), type(3)]
    case 'GatherRows':
      need(dims(0).length === 3 && dims(1).length === 2 && dim(0, 0) === dim(1, 0), 'not ([B,S,H], [B,L])')
      return [{ dtype: type(0).dtype, dims: [dim(0, 0), dim(1, 1), dim(0, 2)] }]
    case 'GatherRowsGrad':
      need(dims(0).length === 3 && sameDims(dims(0).slice(0, 2), dims(1)), 'not ([B,L,H], [B,L])')
      return [{ dtype: type(0).dtype, dims: [dim(0, 0), op.attrs.sequence_length, dim(0, 2)] }]
    case 'SoftmaxCrossEntropy':
      need(dims(0).length === 3, 'logits are not [B,L,V]')
      need(sameDims(dims(0).slice(0, 2), dims(1)) && sameDims(dims(1), dims(2)), 'ids and weights are not [B,L]')
      return [float([]), type(0)]
    case 'LabelLogProbability':
      need(dims(0).length === 3 && sameDims(dims(0).slice(0, 2), dims(1)), 'not ([B,L,V], [B,L])')
      return [float(dims(1))]
    case 'WeightedLogSoftmax':
      need(sameDims(dims(0), dims(1)), 'logits and weights differ in shape')
      return [float([]), type(0)]
  }
}

function replaceDim(dims: readonly number[], axis: number, size: number): number[] {
  const at = positiveAxis(axis, dims.length)
  return dims.map((dim, i) => (i === at ? size : dim))
}

/** numpy matmul of operands of rank 2 and more; undefined where the shapes don't fit. */
function matMulDims(a: readonly number[], b: readonly number[], transA: boolean, transB: boolean): number[] | undefined {
  if (a.length < 2 || b.length < 2) return undefined
  const [m, k] = transA ? [a.at(-1), a.at(-2)] : [a.at(-2), a.at(-1)]
  const [k2, n] = transB ? [b.at(-1), b.at(-2)] : [b.at(-2), b.at(-1)]
  const batch = broadcastDims(a.slice(0, -2), b.slice(0, -2))
  if (batch === undefined || m === undefined || n === undefined || k !== k2) return undefined
  return [...batch, m, n]
}
