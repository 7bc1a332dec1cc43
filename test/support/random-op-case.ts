/** Random one-op programs for property tests of engines: element-wise ops with broadcasting, and ops that move or reduce axes. */
import fc from 'fast-check'
import { elementCount } from '../../src/graph/ir'
import type { BinaryName, UnaryName } from '../../src/graph/program'
import { exactly, float32, opCase, typed, type OpCase, type Operand } from './op-case'
import { broadcastDims } from './nd'

const dimsArbitrary = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 5 })

/** float32 numbers of a size every op takes without overflow; exactly 0 and repeated numbers occur. */
function operand(dims: readonly number[]): fc.Arbitrary<Operand> {
  const size = elementCount(dims)
  const number = fc.oneof(fc.float({ min: -8, max: 8, noNaN: true }), fc.integer({ min: -2, max: 2 }))
  return fc.array(number, { minLength: size, maxLength: size }).map((data) => exactly(dims, data))
}

/** Dims that broadcast to `dims`: leading axes dropped, some others 1. */
const narrower = (dims: readonly number[]) =>
  fc
    .tuple(fc.integer({ min: 0, max: dims.length }), fc.array(fc.boolean(), { minLength: dims.length, maxLength: dims.length }))
    .map(([dropped, ones]) => dims.map((dim, i) => (ones[i] ? 1 : dim)).slice(dropped))

const axisOf = (dims: readonly number[]) => fc.integer({ min: 0, max: dims.length - 1 })
const withAxes = dimsArbitrary.filter((dims) => dims.length > 0)

const unary = fc
  .tuple(
    fc.constantFrom<UnaryName>('Neg', 'Abs', 'Exp', 'Erf', 'Tanh', 'Sigmoid', 'Relu', 'Sin', 'Cos'),
    dimsArbitrary.chain(operand),
  )
  .map(([op, x]) => opCase('random', (io) => ({ op, ...io, attrs: {} }), [x], [x.type]))

const binary = fc
  .tuple(fc.constantFrom<BinaryName>('Add', 'Sub', 'Mul', 'Max', 'Min', 'Greater', 'Equal'), dimsArbitrary, fc.boolean())
  .chain(([op, dims, swapped]) =>
    fc.tuple(narrower(dims), narrower(dims)).chain(([a, b]) =>
      fc.tuple(operand(swapped ? b : a), operand(swapped ? a : b)).map(([x, y]) => {
        const out = broadcastDims(x.type.dims, y.type.dims)
        const type = op === 'Greater' || op === 'Equal' ? typed('bool', out) : float32(out)
        return opCase('random', (io) => ({ op, ...io, attrs: {} }), [x, y], [type])
      }),
    ),
  )

const expand = dimsArbitrary.chain((dims) =>
  narrower(dims)
    .chain(operand)
    .map((x) => opCase('random', (io) => ({ op: 'Expand', ...io, attrs: { dims } }), [x], [float32(dims)])),
)

const transpose = withAxes.chain((dims) =>
  fc
    .tuple(fc.shuffledSubarray([...dims.keys()], { minLength: dims.length }), operand(dims))
    .map(([perm, x]) =>
      opCase('random', (io) => ({ op: 'Transpose', ...io, attrs: { perm } }), [x], [float32(perm.map((i) => dims[i] ?? NaN))]),
    ),
)

const reduce = withAxes.chain((dims) =>
  fc
    .tuple(
      fc.constantFrom('ReduceSum' as const, 'ReduceMean' as const, 'ReduceMax' as const),
      fc.subarray([...dims.keys()], { minLength: 1 }),
      fc.boolean(),
      operand(dims),
    )
    .map(([op, axes, keepdims, x]) => {
      const kept = dims.flatMap((dim, i) => (axes.includes(i) ? (keepdims ? [1] : []) : [dim]))
      return opCase('random', (io) => ({ op, ...io, attrs: { axes, keepdims } }), [x], [float32(kept)])
    }),
)

const onAnAxis = withAxes.chain((dims) =>
  fc
    .tuple(axisOf(dims), operand(dims), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 }))
    .chain(([axis, x, before, after]) => {
      const size = dims[axis] ?? NaN
      const resized = (to: number) => float32(dims.map((dim, i) => (i === axis ? to : dim)))
      const start = Math.min(before, size - 1)
      const end = Math.max(start + 1, size - after)
      return fc.constantFrom(
        opCase('random', (io) => ({ op: 'Softmax', ...io, attrs: { axis } }), [x], [x.type]),
        opCase('random', (io) => ({ op: 'LogSoftmax', ...io, attrs: { axis } }), [x], [x.type]),
        opCase('random', (io) => ({ op: 'Slice', ...io, attrs: { axis, start, end } }), [x], [resized(end - start)]),
        opCase('random', (io) => ({ op: 'Pad', ...io, attrs: { axis, before, after } }), [x], [resized(before + size + after)]),
        opCase('random', (io) => ({ op: 'Concat', ...io, attrs: { axis } }), [x, x], [resized(2 * size)]),
      )
    }),
)

export function randomOpCase(): fc.Arbitrary<OpCase> {
  return fc.oneof(unary, binary, expand, transpose, reduce, onAnAxis)
}
