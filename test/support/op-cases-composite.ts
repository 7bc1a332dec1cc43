/** The cases of the composites, forward and gradient. Part of op-cases.ts. */
import { blockCount, packedBytes, weightDims, type PackedFormat } from '../../src/graph/packed'
import {
  codes,
  bools,
  constant,
  exactIndices,
  exactly,
  float32,
  floats,
  indices,
  opCase,
  quantised,
  type OpCase,
  type Operand,
} from './op-case'

const MOST_NEGATIVE = -3.4028234663852886e38

export function compositeCases(): OpCase[] {
  return [
    ...normCases(),
    ...activationCases(),
    ...rotaryCases(),
    ...attentionCases(),
    ...rowCases(),
    ...lossCases(),
    ...quantizedCases(),
    ...packedCases(),
    ...barrierCases(),
  ]
}

function normCases(): OpCase[] {
  const shapes = [[3], [1, 1], [4, 8], [2, 3, 16], [2, 1, 3, 2, 5], [5, 300]]
  const layerNorm = (what: string, x: Operand, epsilon: number, tolerance?: number) => {
    const [h, out] = [x.type.dims.slice(-1), float32(x.type.dims)]
    const [scale, bias] = [constant(floats(h)), constant(floats(h))]
    const attrs = { epsilon }
    return [
      opCase(what, (io) => ({ op: 'LayerNorm', ...io, attrs }), [x, scale, bias], [out], tolerance),
      opCase(what, (io) => ({ op: 'LayerNormGrad', ...io, attrs }), [floats(x.type.dims), x, scale], [out], tolerance),
    ]
  }
  const rmsNorm = (what: string, x: Operand, epsilon: number, tolerance?: number) => {
    const [scale, out, attrs] = [constant(floats(x.type.dims.slice(-1))), float32(x.type.dims), { epsilon }]
    return [
      opCase(what, (io) => ({ op: 'RMSNorm', ...io, attrs }), [x, scale], [out], tolerance),
      opCase(what, (io) => ({ op: 'RMSNormGrad', ...io, attrs }), [floats(x.type.dims), x, scale], [out], tolerance),
    ]
  }
  return [
    ...shapes.flatMap((dims) => layerNorm(`[${dims.join(', ')}]`, floats(dims), 1e-5)),
    ...shapes.flatMap((dims) => rmsNorm(`[${dims.join(', ')}]`, floats(dims), 1e-6)),
    // The mean is 50 times the spread: x - mean alone loses two digits.
    ...layerNorm('far from zero', floats([2, 64], 98, 102), 1e-5, 1e-4),
    ...rmsNorm('a row of zeros', exactly([2, 4], [0, 0, 0, 0, 1, 2, 3, 4]), 1e-6),
    ...rmsNorm('large', floats([2, 32], -3e4, 3e4), 1e-6),
  ]
}

function activationCases(): OpCase[] {
  const extreme = exactly([10], [-1e4, -60, -9, -3, -1e-5, 1e-5, 3, 9, 60, 1e4])
  const inputs = [floats([], -4, 4), floats([1, 3], -4, 4), floats([2, 3, 1, 2, 4], -4, 4), floats([2, 260], -6, 6), extreme]
  return inputs.flatMap((x) => {
    const { dims } = x.type
    const what = x === extreme ? 'extreme' : `[${dims.join(', ')}]`
    const out = [float32(dims)]
    return [
      ...(['none', 'tanh'] as const).flatMap((approximate) => [
        opCase(`${what}, ${approximate}`, (io) => ({ op: 'Gelu', ...io, attrs: { approximate } }), [x], out),
        opCase(`${what}, ${approximate}`, (io) => ({ op: 'GeluGrad', ...io, attrs: { approximate } }), [floats(dims), x], out),
      ]),
      opCase(what, (io) => ({ op: 'Silu', ...io, attrs: {} }), [x], out),
      opCase(what, (io) => ({ op: 'SiluGrad', ...io, attrs: {} }), [floats(dims), x], out),
    ]
  })
}

function rotaryCases(): OpCase[] {
  const shapes: readonly (readonly [number[], number[]])[] = [
    [
      [2, 3, 4, 8],
      [2, 1, 4, 8],
    ],
    [
      [1, 2, 5, 6],
      [5, 6],
    ],
    [
      [2, 3, 4, 2],
      [1, 1, 4, 2],
    ],
    [
      [3, 4],
      [3, 4],
    ],
    [
      [2, 1, 2, 3, 4],
      [3, 4],
    ],
    [
      [2, 4, 3, 8],
      [2, 4, 3, 8],
    ],
  ]
  return (['RotaryEmbedding', 'RotaryEmbeddingGrad'] as const).flatMap((op) =>
    shapes.map(([dims, table]) =>
      opCase(
        `[${dims.join(', ')}] by [${table.join(', ')}]`,
        (io) => ({ op, ...io, attrs: {} }),
        // Independent cos and sin, so that a swapped or shared half shows.
        [floats(dims), floats(table, -1, 1), constant(floats(table, -1, 1))],
        [float32(dims)],
      ),
    ),
  )
}

interface AttentionShape {
  readonly what: string
  readonly dims: { b: number; n: number; m: number; s: number; t: number; d: number; e: number }
  readonly mask?: Operand
}

function attentionCases(): OpCase[] {
  const padding = exactly([2, 1, 1, 5], [0, 0, 0, 0, MOST_NEGATIVE, 0, 0, MOST_NEGATIVE, MOST_NEGATIVE, MOST_NEGATIVE])
  const causal = constant(
    exactly(
      [1, 1, 5, 5],
      Array.from({ length: 25 }, (_, i) => (i % 5 > Math.floor(i / 5) ? MOST_NEGATIVE : 0)),
    ),
  )
  const shapes: readonly AttentionShape[] = [
    { what: 'one of everything', dims: { b: 1, n: 1, m: 1, s: 1, t: 1, d: 1, e: 1 } },
    { what: 'no mask', dims: { b: 2, n: 3, m: 3, s: 4, t: 5, d: 8, e: 6 } },
    { what: 'padding', dims: { b: 2, n: 2, m: 2, s: 5, t: 5, d: 4, e: 4 }, mask: padding },
    { what: 'causal', dims: { b: 2, n: 4, m: 4, s: 5, t: 5, d: 8, e: 8 }, mask: causal },
    { what: 'a bias per head', dims: { b: 2, n: 3, m: 3, s: 4, t: 4, d: 4, e: 4 }, mask: floats([1, 3, 4, 4]) },
    { what: 'a mask of rank 2', dims: { b: 2, n: 2, m: 2, s: 3, t: 4, d: 4, e: 4 }, mask: floats([3, 4]) },
    { what: 'a whole mask', dims: { b: 2, n: 4, m: 2, s: 3, t: 4, d: 4, e: 4 }, mask: floats([2, 4, 3, 4]) },
    { what: 'grouped queries', dims: { b: 2, n: 6, m: 2, s: 5, t: 5, d: 4, e: 4 }, mask: causal },
    { what: 'grouped queries, padding', dims: { b: 2, n: 4, m: 2, s: 5, t: 5, d: 4, e: 6 }, mask: padding },
    { what: 'grouped queries, a bias per head', dims: { b: 1, n: 4, m: 2, s: 3, t: 3, d: 4, e: 4 }, mask: floats([1, 4, 3, 3]) },
    { what: 'one key head', dims: { b: 2, n: 4, m: 1, s: 3, t: 6, d: 8, e: 8 } },
    { what: 'longer than a tile', dims: { b: 1, n: 2, m: 1, s: 37, t: 37, d: 16, e: 16 } },
    // A row in which every key is masked: softmax is uniform there, as in the exports (finite masks), not NaN.
    {
      what: 'nothing to attend to',
      dims: { b: 1, n: 2, m: 2, s: 2, t: 3, d: 4, e: 4 },
      mask: exactly([2, 3], [0, 0, 0, MOST_NEGATIVE, MOST_NEGATIVE, MOST_NEGATIVE]),
    },
  ]
  return shapes.flatMap(({ what, dims: { b, n, m, s, t, d, e }, mask }) => {
    const attrs = { scale: 1 / Math.sqrt(d) }
    const [q, k, v] = [floats([b, n, s, d]), floats([b, m, t, d]), floats([b, m, t, e])]
    const p = probabilities([b, n, s, t])
    return [
      opCase(what, (io) => ({ op: 'Attention', ...io, attrs }), mask ? [q, k, v, mask] : [q, k, v], [
        float32([b, n, s, e]),
        float32([b, n, s, t]),
      ]),
      opCase(
        what,
        (io) => ({ op: 'AttentionGrad', ...io, attrs }),
        [floats([b, n, s, e]), q, k, v, p],
        [q, k, v].map((x) => x.type),
      ),
    ]
  })
}

/** Positive rows along the last axis that add up to 1, as a softmax leaves them; one in four is zero (masked). */
function probabilities(dims: readonly number[]): Operand {
  const raw = floats(dims, -0.4, 1)
  if (raw.kind === 'constant') return raw
  const data = Float32Array.from(raw.data, (x) => Math.max(x, 0))
  const size = dims.at(-1) ?? 1
  for (let start = 0; start < data.length; start += size) {
    const row = data.subarray(start, start + size)
    if (row.every((x) => x === 0)) row[0] = 1
    const total = row.reduce((a, b) => a + b, 0)
    row.forEach((x, i) => (row[i] = x / total))
  }
  return { ...raw, data }
}

function barrierCases(): OpCase[] {
  const pairs: readonly (readonly [string, Operand, Operand])[] = [
    ['of one shape', floats([2, 3]), floats([2, 3])],
    ['a scalar first', floats([2, 3, 4]), floats([])],
    ['of a scalar', floats([]), floats([5])],
    ['numbers after indices', floats([4]), indices([2, 2], 9)],
    ['indices after numbers', indices([3, 2], 9), floats([7])],
    ['conditions after numbers', bools([2, 5]), floats([1, 2])],
  ]
  return pairs.map(([what, x, after]) => opCase(what, (io) => ({ op: 'Barrier', ...io, attrs: {} }), [x, after], [x.type], 0))
}

function rowCases(): OpCase[] {
  const shapes: readonly (readonly [string, number[], Operand])[] = [
    ['repeated rows', [2, 4, 3], exactIndices([2, 5], [0, 3, 3, 0, 1, 2, 2, 2, 2, 2])],
    ['unused slots at 0', [3, 6, 4], exactIndices([3, 3], [5, 0, 0, 2, 3, 0, 0, 0, 0])],
    ['one row', [1, 1, 1], exactIndices([1, 1], [0])],
    ['one slot', [2, 5, 8], indices([2, 1], 5)],
    ['more slots than rows', [2, 2, 6], indices([2, 7], 2)],
    ['many', [4, 40, 33], indices([4, 12], 40)],
    ['constant positions', [2, 4, 3], constant(exactIndices([2, 2], [1, 1, 3, 0]))],
  ]
  return shapes.flatMap(([what, dims, positions]) => {
    const gathered = [...positions.type.dims, ...dims.slice(2)]
    const sequence_length = dims[1] ?? NaN
    return [
      opCase(what, (io) => ({ op: 'GatherRows', ...io, attrs: {} }), [floats(dims), positions], [float32(gathered)]),
      opCase(
        what,
        (io) => ({ op: 'GatherRowsGrad', ...io, attrs: { sequence_length } }),
        [floats(gathered), positions],
        [float32(dims)],
      ),
    ]
  })
}

function lossCases(): OpCase[] {
  const cases: readonly (readonly [string, Operand])[] = [
    ['[2, 3, 7]', floats([2, 3, 7])],
    ['[1, 1, 2]', floats([1, 1, 2])],
    ['[1, 1, 1]', floats([1, 1, 1])],
    ['[3, 1, 260]', floats([3, 1, 260], -20, 20)],
    ['extreme', exactly([1, 3, 4], [800, -800, 0, 1, -1e4, -1e4, -1e4, -9990, 90, 90, -90, 0])],
  ]
  return cases.flatMap(([what, logits]) => {
    const [b = 0, l = 0, v = 0] = logits.type.dims
    const ids = indices([b, l], v)
    const weights = floats([b, l], 0, 1)
    const outputs = [float32([]), logits.type]
    return [
      opCase(what, (io) => ({ op: 'SoftmaxCrossEntropy', ...io, attrs: {} }), [logits, ids, weights], outputs),
      opCase(
        `${what}, unused slots`,
        (io) => ({ op: 'SoftmaxCrossEntropy', ...io, attrs: {} }),
        [
          logits,
          ids,
          exactly(
            [b, l],
            Array.from({ length: b * l }, (_, i) => (i % 2 === 0 ? 0 : 0.25)),
          ),
        ],
        outputs,
      ),
      opCase(what, (io) => ({ op: 'LabelLogProbability', ...io, attrs: {} }), [logits, ids], [float32([b, l])]),
      opCase(
        what,
        (io) => ({ op: 'WeightedLogSoftmax', ...io, attrs: {} }),
        [logits, floats([b, l, v], -1, 1)],
        outputs,
        // The extreme loss is a sum of terms near 1e4 with both signs: the scale of the terms, not of the sum, sets the error.
        1e-4,
      ),
    ]
  })
}

function quantizedCases(): OpCase[] {
  const layers: readonly { what: string; x: Operand; w: Operand; scale: Operand; zero: Operand }[] = [
    {
      what: 'int8 per tensor',
      x: floats([2, 3, 8]),
      w: quantised('int8', [8, 5]),
      scale: constant(exactly([1], [0.013])),
      zero: quantised('int8', [1], 0, 0),
    },
    {
      what: 'int8 per column',
      x: floats([2, 3, 8], -1, 3),
      w: quantised('int8', [8, 5]),
      scale: constant(floats([5], 0.001, 0.03)),
      zero: quantised('int8', [5], 0, 0),
    },
    {
      what: 'uint8 with a zero point',
      x: floats([4, 6]),
      w: quantised('uint8', [6, 3]),
      scale: constant(exactly([1], [0.02])),
      zero: quantised('uint8', [1], 117, 131),
    },
    {
      what: 'int8 with zero points per column',
      x: floats([1, 2, 2, 12], 0.5, 2),
      w: quantised('int8', [12, 4]),
      scale: constant(floats([4], 0.001, 0.03)),
      zero: quantised('int8', [4], -9, 9),
    },
    {
      what: 'one column',
      x: floats([2, 1, 4]),
      w: quantised('int8', [4, 1]),
      scale: constant(exactly([1], [0.05])),
      zero: quantised('int8', [1], 3, 3),
    },
    {
      what: 'wide',
      x: floats([2, 9, 96]),
      w: quantised('uint8', [96, 70]),
      scale: constant(floats([70], 0.001, 0.01)),
      zero: quantised('uint8', [70], 100, 150),
    },
    {
      what: 'zeros',
      x: exactly([2, 3], [0, 0, 0, 0, 0, 0]),
      w: quantised('int8', [3, 4]),
      scale: constant(exactly([1], [0.05])),
      zero: quantised('int8', [1], 0, 0),
    },
  ]
  return layers.flatMap(({ what, x, w, scale, zero }) => {
    const out = [...x.type.dims.slice(0, -1), w.type.dims[1] ?? NaN]
    return [
      ...[true, false].map((simulate_rounding) =>
        opCase(
          `${what}${simulate_rounding ? ', rounded' : ''}`,
          (io) => ({ op: 'DynamicQuantizedMatMul', ...io, attrs: { simulate_rounding } }),
          [x, w, scale, zero],
          [float32(out)],
        ),
      ),
      opCase(what, (io) => ({ op: 'DynamicQuantizedMatMulGrad', ...io, attrs: {} }), [floats(out), w, scale, zero], [x.type]),
    ]
  })
}

const PLAIN = { signed: false, block_rows: 1, codebook: null, transposed: true } as const

/** MatMulNBits' layout: [n, k], every row on whole blocks. */
const nBits = (bits: 2 | 4 | 8, k: number, n: number, block: number): PackedFormat => ({
  ...PLAIN,
  bits,
  rows: n,
  columns: k,
  row_stride: Math.ceil(k / block) * block,
  block_columns: block,
  zero_point: 2 ** (bits - 1),
})

/** MatMulBnb4's. */
const bnb4 = (codebook: 'nf4' | 'fp4', k: number, n: number, block: number): PackedFormat => ({
  ...PLAIN,
  bits: 4,
  rows: n,
  columns: k,
  row_stride: k,
  block_rows: Math.max(1, block / k),
  block_columns: Math.min(block, k),
  zero_point: 0,
  codebook,
})

/** A matrix for DequantizeLinear, with blocks of the given shape. */
const matrix = (
  bits: 4 | 8,
  signed: boolean,
  dims: [number, number],
  blocks: [number, number],
  transposed: boolean,
): PackedFormat => ({
  bits,
  signed,
  rows: dims[0],
  columns: dims[1],
  row_stride: dims[1],
  block_rows: blocks[0],
  block_columns: blocks[1],
  transposed,
  zero_point: 0,
  codebook: null,
})

function packedCases(): OpCase[] {
  const weights: readonly (readonly [what: string, format: PackedFormat, zeros: 'none' | 'codes' | 'floats'])[] = [
    ['2 bits', nBits(2, 48, 5, 16), 'none'],
    ['2 bits, zero points', nBits(2, 64, 7, 32), 'codes'],
    ['4 bits', nBits(4, 64, 6, 32), 'none'],
    ['4 bits, zero points, an odd number of blocks', nBits(4, 48, 5, 16), 'codes'],
    ['4 bits, K no multiple of the block', nBits(4, 40, 9, 16), 'codes'],
    ['4 bits, float zero points', nBits(4, 32, 4, 16), 'floats'],
    ['4 bits, blocks of 256', nBits(4, 300, 70, 256), 'none'],
    ['8 bits', nBits(8, 32, 6, 16), 'none'],
    ['8 bits, zero points', nBits(8, 72, 35, 32), 'codes'],
    ['8 bits, float zero points', nBits(8, 40, 6, 16), 'floats'],
    ['nf4', bnb4('nf4', 64, 6, 16), 'none'],
    ['nf4, blocks of several rows', bnb4('nf4', 16, 6, 64), 'none'],
    ['fp4', bnb4('fp4', 64, 33, 64), 'none'],
    ['int8 per tensor', matrix(8, true, [6, 9], [6, 9], false), 'none'],
    ['int8 per column', matrix(8, true, [6, 9], [6, 1], false), 'codes'],
    ['uint8 per row, transposed', matrix(8, false, [9, 6], [1, 6], true), 'codes'],
    ['uint8 in blocks of rows', matrix(8, false, [32, 5], [16, 1], false), 'codes'],
    ['int4 per tensor, transposed', matrix(4, true, [5, 6], [5, 6], true), 'none'],
    ['int4 in blocks of rows', matrix(4, true, [32, 6], [16, 1], false), 'none'],
    ['uint4 in blocks of rows, zero points', matrix(4, false, [48, 7], [16, 1], false), 'codes'],
    ['int4 in blocks of columns, transposed', matrix(4, true, [3, 64], [1, 32], true), 'codes'],
  ]
  return weights.flatMap(([what, format, kind]) => {
    const [k, n] = weightDims(format)
    const blocks = blockCount(format)
    const dtype = format.signed ? 'int8' : 'uint8'
    const low = format.signed ? -(2 ** (format.bits - 1)) : 0
    const zeros =
      kind === 'floats'
        ? [constant(floats([blocks], 0, 2 ** format.bits))]
        : kind === 'codes'
          ? [quantised(dtype, [blocks], low, low + 2 ** format.bits - 1)]
          : []
    // int4 constants come as uint8 bytes.
    const packed = codes(packedBytes(format), format.signed && format.bits === 8 ? 'int8' : 'uint8')
    const weight = [packed, constant(floats([blocks], 0.01, 0.1)), ...zeros]
    return [
      opCase(what, (io) => ({ op: 'PackedMatMul', ...io, attrs: format }), [floats([2, 3, k]), ...weight], [float32([2, 3, n])]),
      opCase(
        what,
        (io) => ({ op: 'PackedMatMulGrad', ...io, attrs: format }),
        [floats([2, 3, n]), ...weight],
        [float32([2, 3, k])],
      ),
    ]
  })
}
