/** Cases for the rules of packed weights: MatMulNBits, MatMulBnb4, and products with a DequantizeLinear. */
import type { DType, Tensor } from '../../src/graph/ir'
import { fromIntegers } from '../../src/graph/tensor'
import { floats, node, tensor } from './onnx'
import { domainNode, f, one, wave, type RuleCase } from './rule-case'

const MS = 'com.microsoft.'

const bytes = (dims: number[], salt = 0): Tensor => {
  const count = dims.reduce((a, b) => a * b, 1)
  return fromIntegers(
    'uint8',
    dims,
    Array.from({ length: count }, (_, i) => (i * 73 + salt * 31 + 5) & 255),
  )
}
const scales = (...dims: number[]): Tensor => {
  const count = dims.reduce((a, b) => a * b, 1)
  return f(
    dims,
    wave(count, 0.05).map((value) => Math.abs(value) + 0.01),
  )
}
/** Any bytes as elements of a type: int4 and uint4 are two to a byte. */
const codes = (dtype: DType, dims: number[], salt = 0): Tensor => {
  const count = dims.reduce((a, b) => a * b, 1)
  const size = dtype === 'int4' || dtype === 'uint4' ? Math.ceil(count / 2) : count
  return { dtype, dims, bytes: bytes([size], salt).bytes }
}

interface Blocks {
  readonly bits: 2 | 4 | 8
  readonly k: number
  readonly n: number
  readonly block: number
}

function nBits({ bits, k, n, block }: Blocks, extras: Record<string, Tensor> = {}, inputs?: string[], ops?: string[]): RuleCase {
  const blocks = Math.ceil(k / block)
  const attributes = { K: k, N: n, bits, block_size: block }
  return {
    title: `MatMulNBits of ${bits} bits, [${k}, ${n}] in blocks of ${block}: ${Object.keys(extras).join(', ')}`,
    nodes: [domainNode(`${MS}MatMulNBits`, inputs ?? ['x', 'w', 's', ...Object.keys(extras)], ['y'], attributes)],
    constants: { w: bytes([n, blocks, (block * bits) / 8]), s: scales(n * blocks), ...extras },
    x: floats([2, 3, k], wave(6 * k, 1)),
    ops: ops ?? ['PackedMatMul'],
    tolerance: 2e-5,
  }
}

/** x times a DequantizeLinear of w. */
function dequantized(
  title: string,
  constants: { w: Tensor; s: Tensor; z?: Tensor },
  attributes: Parameters<typeof node>[3],
  product: readonly ReturnType<typeof node>[] = [node('MatMul', ['x', 'f'], ['y'])],
  k = constants.w.dims[0] ?? 0,
): RuleCase {
  return {
    title: `DequantizeLinear before a product: ${title}`,
    nodes: [node('DequantizeLinear', Object.keys(constants), ['f'], attributes), ...product],
    constants,
    x: floats([2, k], wave(2 * k, 1)),
    opset: 21,
    ops: ['PackedMatMul'],
    tolerance: 2e-5,
  }
}

const TRANSPOSED = [node('Transpose', ['f'], ['t'], { perm: [1, 0] }), node('MatMul', ['x', 't'], ['y'])]

export const PACKED_CASES: readonly RuleCase[] = [
  nBits({ bits: 4, k: 64, n: 6, block: 32 }),
  nBits({ bits: 2, k: 32, n: 5, block: 16 }),
  nBits({ bits: 8, k: 32, n: 5, block: 16 }),
  nBits({ bits: 4, k: 40, n: 7, block: 16 }, { z: bytes([7 * 2], 1) }),
  nBits({ bits: 2, k: 80, n: 3, block: 16 }, { z: bytes([3 * 2], 1) }),
  nBits({ bits: 8, k: 40, n: 5, block: 16 }, { z: bytes([5 * 3], 1) }),
  nBits({ bits: 4, k: 48, n: 4, block: 16 }, { z: f([12], wave(12, 4)) }),
  nBits({ bits: 4, k: 32, n: 4, block: 16 }, { bias: f([4]) }, ['x', 'w', 's', '', '', 'bias'], ['PackedMatMul', 'Add']),
  nBits(
    { bits: 4, k: 32, n: 4, block: 16 },
    {
      g: tensor({
        dtype: 'int32',
        dims: [32],
        data: Array.from({ length: 32 }, (_, i) => Math.floor(i / 16)),
      }),
    },
    ['x', 'w', 's', '', 'g'],
  ),
  ...[0, 1].flatMap((quant_type) =>
    [
      { k: 32, n: 5, block: 16 },
      { k: 16, n: 6, block: 32 },
    ].map(({ k, n, block }) =>
      one(
        `${MS}MatMulBnb4`,
        { w: bytes([(n * k) / 2]), s: scales(Math.ceil((n * k) / block)) },
        { K: k, N: n, block_size: block, quant_type },
        { x: floats([2, 3, k], wave(6 * k, 1)), ops: ['PackedMatMul'], tolerance: 2e-5 },
      ),
    ),
  ),
  dequantized('int8 per tensor', { w: codes('int8', [6, 5]), s: scales() }, {}),
  dequantized('uint8 per column', { w: codes('uint8', [6, 5]), s: scales(5), z: codes('uint8', [5], 1) }, { axis: 1 }),
  dequantized('int8 per row', { w: codes('int8', [6, 5]), s: scales(6) }, { axis: 0 }),
  dequantized('int8 per row, transposed', { w: codes('int8', [5, 6]), s: scales(5) }, { axis: 0 }, TRANSPOSED, 6),
  dequantized(
    'uint8, Gemm',
    { w: codes('uint8', [5, 6]), s: scales(), z: codes('uint8', [], 1) },
    {},
    [node('Gemm', ['x', 'f'], ['y'], { transB: 1 })],
    6,
  ),
  dequantized('int4 in blocks of rows', { w: codes('int4', [32, 5]), s: scales(2, 5) }, { axis: 0, block_size: 16 }),
  dequantized(
    'uint4 in blocks of columns, transposed',
    { w: codes('uint4', [5, 32]), s: scales(5, 2), z: codes('uint4', [5, 2], 1) },
    { axis: 1, block_size: 16 },
    TRANSPOSED,
    32,
  ),
  dequantized(
    'uint8 in blocks, some left over',
    { w: codes('uint8', [20, 3]), s: scales(2, 3), z: codes('uint8', [2, 3], 1) },
    { axis: 0, block_size: 16 },
  ),
  {
    ...dequantized(
      'int8 in blocks, not in a product',
      { w: codes('int8', [4, 6]), s: scales(2, 6) },
      { axis: 0, block_size: 2 },
      [node('Add', ['x', 'f'], ['y'])],
    ),
    x: floats([4, 6], wave(24)),
    ops: ['Add'],
  },
  {
    title: 'two products share a packed table, one transposed',
    nodes: [
      node('DequantizeLinear', ['w', 's'], ['f'], { axis: 0 }),
      node('MatMul', ['x', 'f'], ['h']),
      node('Transpose', ['f'], ['t']),
      node('MatMul', ['h', 't'], ['y']),
    ],
    constants: { w: codes('int8', [6, 5]), s: scales(6) },
    x: floats([2, 6], wave(12)),
    opset: 21,
    ops: ['PackedMatMul', 'PackedMatMul'],
    tolerance: 2e-5,
  },
]
