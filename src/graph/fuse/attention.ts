/**
 * Attention: softmax(scale q k^T + mask) v, as exporters spell it out. The scale may be on q, on k or on the scores, as Mul or Div, in
 * parts; k may be transposed by a Transpose of its own or one merged with the split into heads; masks are read by
 * mask.ts; key and value heads repeated for grouped queries (Unsqueeze, Expand, Reshape) are read as the heads they are.
 */
import { sameDims } from '../op-types'
import type { ProgramBuilder, ProgramView } from '../rewrite'
import { emitMask, maskStep, type MaskTerm } from './mask'
import { withoutFactors, type FusionContext, type FusionRule } from './rule'

/** A value to be emitted, with the dims it will have. */
interface Operand {
  readonly dims: readonly number[]
  readonly emit: (builder: ProgramBuilder) => string
}

export const attention: FusionRule = (op, context) => {
  const { view } = context
  if (op.op !== 'MatMul' || op.attrs.transA || op.attrs.transB) return undefined
  const [p, v] = op.inputs
  const softmax = view.made(p, 'Softmax')
  const masked = softmax?.inputs[0]
  if (p === undefined || v === undefined || !softmax || masked === undefined) return undefined
  if (view.dims(p).length !== 4 || view.dims(v).length !== 4) return undefined
  if (softmax.attrs.axis !== 3 && softmax.attrs.axis !== -1) return undefined

  const { terms, scores } = unmasked(masked, context)
  const { source: product, factor } = withoutFactors(view, scores)
  const matMul = view.made(product, 'MatMul')
  const [qScaled, kScaled] = matMul?.inputs ?? []
  if (!matMul || qScaled === undefined || kScaled === undefined || matMul.attrs.transA) return undefined
  const q = withoutFactors(view, qScaled)
  const k = matMul.attrs.transB ? keys(view, kScaled) : transposedKeys(view, kScaled)
  const [batch, heads, , size] = view.dims(q.source)
  if (!k || view.dims(q.source).length !== 4 || k.operand.dims[0] !== batch || k.operand.dims[1] !== heads) return undefined
  if (!sameDims(view.dims(v), [...k.operand.dims.slice(0, 3), view.dims(v)[3] ?? 0]) || k.operand.dims[3] !== size)
    return undefined

  // Both or neither: the composite has one number of key heads.
  const [groupedK, groupedV] = [k.source === undefined ? undefined : grouped(view, k.source), grouped(view, v)]
  const share = groupedK && groupedV && groupedK.dims[1] === groupedV.dims[1]
  const scale = factor * q.factor * k.factor
  return (builder) => {
    const mask = emitMask(builder, view, terms)
    const inputs = [
      q.source,
      (share ? groupedK : k.operand).emit(builder),
      share ? groupedV.emit(builder) : v,
      ...(mask === undefined ? [] : [mask]),
    ]
    const [y = ''] = op.outputs
    builder.emitAll({ op: 'Attention', name: op.name, inputs, attrs: { scale } }, [y, builder.fresh(`${y}:p`)])
  }
}

/** Takes all masking steps off the input of the softmax. */
function unmasked(value: string, context: FusionContext): { terms: MaskTerm[]; scores: string } {
  const terms: MaskTerm[] = []
  let scores = value
  for (let step = maskStep(scores, context); step; step = maskStep(scores, context)) {
    terms.push(step.term)
    scores = step.scores
  }
  return { terms, scores }
}

interface Keys {
  readonly operand: Operand
  readonly factor: number
  /** The value k itself, where it exists: repeated heads are looked for behind it. */
  readonly source: string | undefined
}

/** k [B,N,T,D] as it is. */
function keys(view: ProgramView, value: string): Keys {
  const { source, factor } = withoutFactors(view, value)
  return { operand: { dims: view.dims(source), emit: () => source }, factor, source }
}

/** k from k^T [B,N,D,T]: behind a Transpose (and numbers on either side of it) where there is one, else transposed back. */
function transposedKeys(view: ProgramView, value: string): Keys | undefined {
  const outer = withoutFactors(view, value)
  const dims = view.dims(outer.source)
  if (dims.length !== 4) return undefined
  const back = [...dims.slice(0, 2), dims[3] ?? 0, dims[2] ?? 0]
  const transpose = view.made(outer.source, 'Transpose')
  const inner = transpose?.inputs[0]
  const [a, b, c, d] = transpose?.attrs.perm ?? [0, 1, 2, 3]
  if (a === undefined || b === undefined || c === undefined || d === undefined) return undefined
  const perm = [a, b, d, c]
  const untransposed = inner ?? outer.source
  if (perm.every((axis, i) => axis === i)) {
    const { operand, factor, source } = keys(view, untransposed)
    return { operand, factor: factor * outer.factor, source }
  }
  return {
    operand: { dims: back, emit: (builder) => builder.transpose(untransposed, perm) },
    factor: outer.factor,
    source: undefined,
  }
}

/** Reads Reshape(Expand(x [B,M,1,T,D] -> [B,M,r,T,D])) -> [B,M*r,T,D] as the [B,M,T,D] it repeats. */
function grouped(view: ProgramView, value: string): Operand | undefined {
  const expanded = view.made(value, 'Reshape')?.inputs[0]
  const single = view.made(expanded, 'Expand')?.inputs[0]
  if (expanded === undefined || single === undefined) return undefined
  const [batch = 0, heads = 0, repeats = 0, length = 0, size = 0] = view.dims(expanded)
  if (view.dims(expanded).length !== 5 || !sameDims(view.dims(single), [batch, heads, 1, length, size])) return undefined
  if (!sameDims(view.dims(value), [batch, heads * repeats, length, size])) return undefined
  const dims = [batch, heads, length, size]
  // The Reshape that made room for the repeats usually has exactly this source.
  const source = view.made(single, 'Reshape')?.inputs[0]
  if (source !== undefined && sameDims(view.dims(source), dims)) return { dims, emit: () => source }
  return { dims, emit: (builder) => builder.reshape(single, dims) }
}
