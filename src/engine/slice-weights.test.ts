/** Products in pieces of their weights: the same numbers, in pieces that fit, on the cpu device too. */
import { describe, expect, it } from 'vitest'
import { evaluateProgram } from '../../test/support/evaluate-program'
import { errorOf, opCases, type OpCase } from '../../test/support/op-cases'
import { noiseFor, programWith, relativeError, withGradient } from '../../test/support/gradient-check'
import { constant, float32, floats, halfPrecision, opCase, quantised } from '../../test/support/op-case'
import { elementCount } from '../graph/ir'
import { byteLength } from '../graph/tensor'
import { validateProgram } from '../graph/validate'
import { rowsWithin, sliceWeights } from './slice-weights'
import { createTfjsEngine } from './tfjs/tfjs-engine'

const MOST_BYTES = 96

/** Every product of the op cases whose weight takes more, and matrices of floats. */
function products(): OpCase[] {
  const matMuls = [false, true].flatMap((transB) =>
    [constant(floats([12, 10])), halfPrecision('float16', [12, 10]), halfPrecision('bfloat16', [12, 10])].map((weight) => {
      const [inner, outer] = transB ? [10, 12] : [12, 10]
      const what = weight.kind === 'constant' ? `${weight.tensor.dtype} ${transB}` : ''
      const attrs = { transA: false, transB }
      return opCase(what, (io) => ({ op: 'MatMul', ...io, attrs }), [floats([2, 3, inner]), weight], [float32([2, 3, outer])])
    }),
  )
  const packed = opCases().filter(({ program }) => program.ops.some(({ op }) => op.startsWith('Packed')))
  const quantized = opCases().filter(({ program }) => program.ops.some(({ op }) => op.startsWith('DynamicQuantized')))
  return [...matMuls, ...packed, ...quantized]
}

describe.each(products().map((one) => [one.name, one] as const))('%s', (_, one) => {
  const sliced = sliceWeights(one.program, rowsWithin(MOST_BYTES))

  it('is the same function, of weights that fit where they can be cut', () => {
    validateProgram(sliced)
    expect(
      errorOf(one, new Map([...evaluateProgram(sliced, one.feeds)].map(([n, { data }]) => [n, Float32Array.from(data)]))),
    ).toBeLessThan(one.tolerance)
    // A single row is never cut.
    const cuttable = sliced.ops.filter(({ attrs }) => !('rows' in attrs) || attrs.rows > 1)
    const weights = new Set(cuttable.map(({ inputs }) => inputs[1] ?? ''))
    const large = [...sliced.constants].filter(([name, tensor]) => weights.has(name) && byteLength(tensor) > MOST_BYTES)
    if (sliced !== one.program) expect(large.map(([name]) => name)).toEqual([])
  })

  it('has the same pieces in every program', () => {
    expect([...sliceWeights(one.program, rowsWithin(MOST_BYTES)).constants.values()]).toEqual([...sliced.constants.values()])
    const again = sliceWeights(one.program, rowsWithin(MOST_BYTES)).constants
    for (const [name, tensor] of sliced.constants) expect(again.get(name)).toBe(tensor)
  })
})

it('cuts floats, 16-bit floats, packed codes and bytes', () => {
  const cut = products().filter(({ program }) => sliceWeights(program, rowsWithin(MOST_BYTES)) !== program)
  expect(cut.length).toBeGreaterThanOrEqual(30)
  const rounds = cut.filter(({ program: { ops } }) =>
    ops.some((op) => op.op === 'DynamicQuantizedMatMul' && op.attrs.simulate_rounding),
  )
  expect(rounds.length).toBeGreaterThanOrEqual(1)
})

it.each([false, true])('a q8 layer and its gradient have the same pieces (rounding: %s)', (simulate_rounding) => {
  const builder = programWith({ x: [3, 12] })
  const [codes, scales] = [constant(quantised('uint8', [12, 40])), constant(floats([40], 0.01, 0.02))]
  if (codes.kind !== 'constant' || scales.kind !== 'constant') throw new Error('constants are expected')
  const weight = builder.sharedConstant(codes.tensor, 'codes', 'uint8')
  const zero = builder.sharedConstant({ dtype: 'uint8', dims: [40], bytes: new Uint8Array(40).fill(128) }, 'zero', 'uint8')
  const inputs = ['x', weight, builder.constant(scales.tensor), zero]
  const y = builder.emit({ op: 'DynamicQuantizedMatMul', name: 'layer', inputs, attrs: { simulate_rounding } })
  const program = withGradient(builder.finish([y]), y, 'x')
  const sliced = sliceWeights(program, rowsWithin(MOST_BYTES))
  validateProgram(sliced)
  const held = [...sliced.constants.values()].filter(({ dtype, dims }) => dtype === 'uint8' && elementCount(dims) > 40)
  expect(held.length).toBeGreaterThanOrEqual(5)
  expect(held.reduce((total, tensor) => total + byteLength(tensor), 0)).toBe(12 * 40)
  const feeds = noiseFor(program, 3)
  const [whole, inPieces] = [evaluateProgram(program, feeds), evaluateProgram(sliced, feeds)]
  // Columns are outputs of their own; rows are parts of a sum.
  expect(relativeError(inPieces.get(y), whole.get(y))).toBeLessThanOrEqual(simulate_rounding ? 0 : 1e-12)
  expect(relativeError(inPieces.get('dx'), whole.get('dx'))).toBeLessThan(1e-12)
})

it('an engine whose tensors are small runs products whose weights are not', async () => {
  const engine = await createTfjsEngine({ backend: 'cpu', max_tensor_bytes: 400 })
  const [large, half] = [constant(floats([40, 5])), halfPrecision('float16', [60, 5])]
  for (const [weight, rows] of [
    [large, 40],
    [half, 60],
  ] as const) {
    const attrs = { transA: false, transB: false }
    const one = opCase('head', (io) => ({ op: 'MatMul', ...io, attrs }), [floats([1, rows]), weight], [float32([1, 5])])
    const executable = await engine.load(one.program)
    expect(errorOf(one, await executable.run(one.feeds))).toBeLessThan(1e-6)
    await executable.dispose()
  }
  await engine.dispose()
})
