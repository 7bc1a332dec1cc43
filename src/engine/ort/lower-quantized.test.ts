/** A q8 layer as quantize_dynamic writes it, built here by hand, against the lowered op: equal to the last bit. */
import * as ort from 'onnxruntime-web/webgpu'
import { beforeAll, describe, expect, test } from 'vitest'
import { errorOf } from '../../../test/support/op-cases'
import { constant, exactly, float32, floats, opCase, quantised, type OpCase, type Operand } from '../../../test/support/op-case'
import type { Node, OnnxModel, Tensor } from '../../graph/ir'
import type { Engine } from '../engine'
import { lower } from './lower'
import { createOrtEngine } from './ort-engine'
import { createSession } from './ort-session'

let engine: Engine

beforeAll(async () => {
  engine = await createOrtEngine({ ort, threads: 1 })
})

interface Layer {
  readonly x: Operand
  readonly w: Operand
  readonly scale: Operand
  readonly zero: Operand
  readonly rows: readonly number[]
  readonly columns: number
}

const tensorOf = (operand: Operand): Tensor => {
  if (operand.kind !== 'constant') throw new Error('a constant is expected')
  return operand.tensor
}

/** quantize_dynamic's nodes, names and order of operands (onnxruntime/python/tools/quantization/operators/matmul.py, MatMulInteger form). */
function original({ w, scale, zero, rows, columns }: Layer): OnnxModel {
  const node = (op_type: string, inputs: string[], outputs: string[], attributes: Node['attributes'] = new Map()): Node => {
    return { op_type, domain: '', name: `/lin/${op_type}_${outputs.join()}`, inputs, outputs, attributes }
  }
  const perTensor = (tensor: Tensor): Tensor => (tensor.dims[0] === 1 ? { ...tensor, dims: [] } : tensor)
  const inner = tensorOf(w).dims[0] ?? 0
  return {
    ir_version: 8,
    producer_name: 'onnx.quantize',
    opsets: new Map([['', 14]]),
    graph: {
      name: 'q8',
      nodes: [
        node('DynamicQuantizeLinear', ['x'], ['x_quantized', 'x_scale', 'x_zero_point']),
        node('MatMulInteger', ['x_quantized', 'W_quantized', 'x_zero_point', 'W_zero_point'], ['y_output_quantized']),
        node('Cast', ['y_output_quantized'], ['y_cast'], new Map([['to', { type: 'int', value: 1 }]])),
        node('Mul', ['x_scale', 'W_scale'], ['scales']),
        node('Mul', ['y_cast', 'scales'], ['y']),
      ],
      inputs: [{ name: 'x', dtype: 'float32', dims: [...rows.slice(0, -1).map((_, i) => `d${i}`), inner] }],
      outputs: [{ name: 'y', dtype: 'float32', dims: [...rows.slice(0, -1).map((_, i) => `d${i}`), columns] }],
      initializers: new Map([
        ['W_quantized', tensorOf(w)],
        ['W_scale', perTensor(tensorOf(scale))],
        ['W_zero_point', perTensor(tensorOf(zero))],
      ]),
    },
  }
}

function layerCase({ x, w, scale, zero, rows, columns }: Layer, simulate_rounding: boolean): OpCase {
  const attrs = { simulate_rounding }
  const out = float32([...rows.slice(0, -1), columns])
  return opCase('q8', (io) => ({ op: 'DynamicQuantizedMatMul', ...io, attrs }), [x, w, scale, zero], [out])
}

const layers: readonly (readonly [string, Layer])[] = [
  ['int8 per tensor', layer([2, 7, 33], 20, 'int8', false)],
  ['int8 per column', layer([2, 7, 33], 20, 'int8', true)],
  ['uint8 per tensor', layer([5, 64], 48, 'uint8', false)],
  ['uint8 per column', layer([3, 40, 192], 96, 'uint8', true)],
]

function layer(rows: number[], columns: number, dtype: 'int8' | 'uint8', perColumn: boolean): Layer {
  const count = perColumn ? columns : 1
  return {
    x: floats(rows, -3, 2),
    w: quantised(dtype, [rows.at(-1) ?? 0, columns]),
    scale: constant(floats([count], 0.001, 0.02)),
    // quantize_dynamic's own zero points: 0 for int8 (symmetric), anywhere for uint8.
    zero: dtype === 'int8' ? quantised('int8', [count], 0, 0) : quantised('uint8', [count], 100, 150),
    rows,
    columns,
  }
}

describe('simulated rounding', () => {
  test.each(layers)('%s: bit-equal with the original chain', async (_, q8) => {
    const session = await createSession(ort, original(q8))
    const { program, feeds } = layerCase(q8, true)
    const x = feeds.get('x0')
    if (!(x instanceof Float32Array)) throw new Error('x is float32')
    const expected = (await session.run({ x: new ort.Tensor('float32', x, q8.rows) }))['y']
    await session.release()
    const executable = await engine.load(program)
    expect((await executable.run(feeds)).get('y0')).toEqual(expected?.data)
    await executable.dispose()
    // In pieces of a few columns, the input rounded once for all of them.
    const pieces = lower(program, 7 * (q8.rows.at(-1) ?? 0))
    const kinds = pieces.graph.nodes.map(({ op_type }) => op_type)
    expect(kinds.filter((kind) => kind === 'MatMulInteger')).toHaveLength(Math.ceil(q8.columns / 7))
    expect(kinds.filter((kind) => kind === 'DynamicQuantizeLinear')).toHaveLength(1)
    const sliced = await createSession(ort, pieces)
    expect((await sliced.run({ x0: new ort.Tensor('float32', x, q8.rows) }))['y0']?.data).toEqual(expected?.data)
    await sliced.release()
  })

  test('it is rounding: the float form differs, by less than a level of every input', async () => {
    const q8 = layers[0]?.[1]
    if (!q8) throw new Error('a layer')
    const [rounded, float] = [layerCase(q8, true), layerCase(q8, false)]
    const executable = await engine.load(rounded.program)
    const outputs = await executable.run(rounded.feeds)
    await executable.dispose()
    // 33 inputs, each off by at most half of 5/255, times weights of at most 128 * 0.02.
    const error = errorOf(float, outputs)
    expect(error).toBeGreaterThan(1e-4)
    expect(error).toBeLessThan((33 * 2.5 * 128 * 0.02) / 255)
  })

  test('layers with one input round it once', async () => {
    const x = exactly([1, 4], [0.1, -0.7, 2, 1])
    const one = layerCase({ ...layer([1, 4], 3, 'int8', false), x }, true)
    const [op] = one.program.ops
    if (!op) throw new Error('one op')
    const twice = {
      ...one.program,
      ops: [op, { ...op, name: 'again', outputs: ['z'] }],
      outputs: ['y0', 'z'],
      values: new Map([...one.program.values, ['z', float32([1, 3])]]),
    }
    const kinds = lower(twice).graph.nodes.map((node) => node.op_type)
    expect(kinds.filter((kind) => kind === 'DynamicQuantizeLinear')).toHaveLength(1)
    const executable = await engine.load(twice)
    const outputs = await executable.run(one.feeds)
    expect(outputs.get('z')).toEqual(outputs.get('y0'))
    await executable.dispose()
  })
})
