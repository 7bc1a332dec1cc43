/**
 * The composites of program.ts in float64, each written straight from its definition there; gradients from the chain rule of
 * that definition, not from any engine's formula. Part of evaluate-program.ts.
 */
import { CODEBOOKS, type PackedFormat } from '../../src/graph/packed'
import type { CompositeOp } from '../../src/graph/program'
import { at, erf, filled, map, matmul, nd, softmax, sum, zip, type Nd } from './nd'

const add = (a: Nd, b: Nd) => zip((x = NaN, y = NaN) => x + y, a, b)
const sub = (a: Nd, b: Nd) => zip((x = NaN, y = NaN) => x - y, a, b)
const mul = (a: Nd, b: Nd) => zip((x = NaN, y = NaN) => x * y, a, b)
const scaled = (a: Nd, factor: number) => map(a, (x) => x * factor)
/** Mean over the last axis, that axis kept. */
const mean = (x: Nd) => scaled(sum(x, [x.dims.length - 1], true), 1 / at(x.dims, x.dims.length - 1))
const inverseRoot = (x: Nd, epsilon: number) => map(mean(mul(x, x)), (m) => 1 / Math.sqrt(m + epsilon))

export function evaluateComposite(op: CompositeOp, inputs: readonly Nd[]): Nd[] {
  const input = (i: number): Nd => {
    const value = inputs[i]
    if (!value) throw new Error(`${op.op} '${op.name}' lacks input ${i}`)
    return value
  }
  switch (op.op) {
    case 'LayerNorm': {
      const centred = sub(input(0), mean(input(0)))
      return [add(mul(mul(centred, inverseRoot(centred, op.attrs.epsilon)), input(1)), input(2))]
    }
    case 'LayerNormGrad': {
      const centred = sub(input(1), mean(input(1)))
      const dCentred = normalizeGrad(mul(input(0), input(2)), centred, op.attrs.epsilon)
      return [sub(dCentred, mean(dCentred))]
    }
    case 'RMSNorm':
      return [mul(mul(input(0), inverseRoot(input(0), op.attrs.epsilon)), input(1))]
    case 'RMSNormGrad':
      return [normalizeGrad(mul(input(0), input(2)), input(1), op.attrs.epsilon)]
    case 'Gelu':
      return [map(input(0), (x) => gelu(x, op.attrs.approximate))]
    case 'GeluGrad':
      return [
        mul(
          input(0),
          map(input(1), (x) => geluSlope(x, op.attrs.approximate)),
        ),
      ]
    case 'Silu':
      return [map(input(0), (x) => x / (1 + Math.exp(-x)))]
    case 'SiluGrad':
      return [
        mul(
          input(0),
          map(input(1), (x) => {
            const s = 1 / (1 + Math.exp(-x))
            return s + x * s * (1 - s)
          }),
        ),
      ]
    case 'Barrier':
      return [input(0)]
    case 'RotaryEmbedding':
      return [add(mul(input(0), input(1)), mul(swapHalves(input(0), -1, 1), input(2)))]
    case 'RotaryEmbeddingGrad':
      return [add(mul(input(0), input(1)), swapHalves(mul(input(0), input(2)), 1, -1))]
    case 'Attention': {
      const groups = at(input(0).dims, 1) / at(input(1).dims, 1)
      const scores = scaled(matmul(input(0), repeatHeads(input(1), groups), false, true), op.attrs.scale)
      const p = softmax(inputs[3] ? add(scores, inputs[3]) : scores, 3)
      return [matmul(p, repeatHeads(input(2), groups)), p]
    }
    case 'AttentionGrad': {
      const [dy, q, k, v, p] = [input(0), input(1), input(2), input(3), input(4)]
      const groups = at(q.dims, 1) / at(k.dims, 1)
      const dp = matmul(dy, repeatHeads(v, groups), false, true)
      const ds = mul(p, sub(dp, sum(mul(p, dp), [3], true)))
      return [
        scaled(matmul(ds, repeatHeads(k, groups)), op.attrs.scale),
        sumHeads(scaled(matmul(ds, q, true, false), op.attrs.scale), groups),
        sumHeads(matmul(p, dy, true, false), groups),
      ]
    }
    case 'GatherRows': {
      const [batch, length, width, rows] = rowShape(input(0).dims, input(1).dims)
      const out = filled([batch, length, width])
      forEachRow(input(1), rows, (slot, b, row) => {
        out.data.set(input(0).data.subarray((b * rows + row) * width, (b * rows + row + 1) * width), slot * width)
      })
      return [out]
    }
    case 'GatherRowsGrad': {
      const rows = op.attrs.sequence_length
      const width = at(input(0).dims, 2)
      const out = filled([at(input(0).dims, 0), rows, width])
      forEachRow(input(1), rows, (slot, b, row) => {
        for (let i = 0; i < width; i++) {
          const o = (b * rows + row) * width + i
          out.data[o] = at(out.data, o) + at(input(0).data, slot * width + i)
        }
      })
      return [out]
    }
    case 'SoftmaxCrossEntropy': {
      const target = oneHot(input(1), at(input(0).dims, 2))
      return weightedLogSoftmax(
        input(0),
        map(mul(target, nd([...input(2).dims, 1], input(2).data)), (x) => -x),
      )
    }
    case 'LabelLogProbability':
      return [sum(mul(oneHot(input(1), at(input(0).dims, 2)), softmax(input(0), 2, true)), [2], false)]
    case 'WeightedLogSoftmax':
      return weightedLogSoftmax(input(0), input(1))
    case 'DynamicQuantizedMatMul': {
      if (!op.attrs.simulate_rounding) return [matmul(input(0), dequantized(input(1), input(2), input(3)))]
      const x = roundedDynamically(input(0))
      const w = sub(input(1), input(3))
      return [
        map(
          mul(
            matmul(x.levels, w),
            map(input(2), (s) => Math.fround(s * x.scale)),
          ),
          (y) => y,
        ),
      ]
    }
    case 'DynamicQuantizedMatMulGrad':
      return [matmul(input(0), dequantized(input(1), input(2), input(3)), false, true)]
    case 'PackedMatMul':
      return [matmul(input(0), unpacked(op.attrs, input(1), input(2), inputs[3]), false, op.attrs.transposed)]
    case 'PackedMatMulGrad':
      return [matmul(input(0), unpacked(op.attrs, input(1), input(2), inputs[3]), false, !op.attrs.transposed)]
  }
}

/** Gradient of n(x) = x / sqrt(mean(x^2) + epsilon), given dn. */
function normalizeGrad(dn: Nd, x: Nd, epsilon: number): Nd {
  const r = inverseRoot(x, epsilon)
  const cube = map(r, (value) => value ** 3)
  return sub(mul(dn, r), mul(mul(x, cube), mean(mul(dn, x))))
}

const TANH_SCALE = Math.sqrt(2 / Math.PI)
const TANH_CUBIC = 0.044715

function gelu(x: number, approximate: 'none' | 'tanh'): number {
  if (approximate === 'none') return 0.5 * x * (1 + erf(x / Math.SQRT2))
  return 0.5 * x * (1 + Math.tanh(TANH_SCALE * (x + TANH_CUBIC * x ** 3)))
}

function geluSlope(x: number, approximate: 'none' | 'tanh'): number {
  if (approximate === 'none') return 0.5 * (1 + erf(x / Math.SQRT2)) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI)
  const t = Math.tanh(TANH_SCALE * (x + TANH_CUBIC * x ** 3))
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * TANH_SCALE * (1 + 3 * TANH_CUBIC * x * x)
}

/** [first * x2, second * x1] for the halves x1, x2 of the last axis. */
function swapHalves(x: Nd, first: number, second: number): Nd {
  const size = at(x.dims, x.dims.length - 1)
  const half = size / 2
  const data = x.data.map((_, i) => {
    const column = i % size
    return column < half ? first * at(x.data, i + half) : second * at(x.data, i - half)
  })
  return { dims: x.dims, data }
}

/** Key heads [B,M,T,D] repeated for the query heads that share them: [B,M*groups,T,D]. */
function repeatHeads(x: Nd, groups: number): Nd {
  const heads = at(x.dims, 1) * groups
  const size = at(x.dims, 2) * at(x.dims, 3)
  const out = filled([at(x.dims, 0), heads, at(x.dims, 2), at(x.dims, 3)])
  for (let row = 0; row < at(x.dims, 0) * heads; row++) {
    const source = Math.floor(row / groups)
    out.data.set(x.data.subarray(source * size, (source + 1) * size), row * size)
  }
  return out
}

/** The reverse of repeatHeads for gradients: adds up each group. */
function sumHeads(x: Nd, groups: number): Nd {
  const [b, n, t, d] = [at(x.dims, 0), at(x.dims, 1), at(x.dims, 2), at(x.dims, 3)]
  return sum(nd([b, n / groups, groups, t, d], x.data), [2], false)
}

function rowShape(data: readonly number[], positions: readonly number[]): [number, number, number, number] {
  return [at(positions, 0), at(positions, 1), at(data, 2), at(data, 1)]
}

function forEachRow(positions: Nd, rows: number, visit: (slot: number, batch: number, row: number) => void): void {
  const length = at(positions.dims, 1)
  positions.data.forEach((row, slot) => {
    if (!(row >= 0 && row < rows)) throw new Error(`position ${row} outside 0..${rows - 1}`)
    visit(slot, Math.floor(slot / length), row)
  })
}

function oneHot(ids: Nd, size: number): Nd {
  const out = filled([...ids.dims, size])
  ids.data.forEach((id, i) => {
    if (!(id >= 0 && id < size)) throw new Error(`id ${id} outside 0..${size - 1}`)
    out.data[i * size + id] = 1
  })
  return out
}

function weightedLogSoftmax(logits: Nd, weights: Nd): Nd[] {
  const loss = sum(mul(weights, softmax(logits, 2, true)), [0, 1, 2], false)
  return [loss, sub(weights, mul(softmax(logits, 2), sum(weights, [2], true)))]
}

function dequantized(w: Nd, scale: Nd, zeroPoint: Nd): Nd {
  return mul(sub(w, zeroPoint), scale)
}

/** The stored matrix [rows, columns] as numbers: bit by bit, from the text in packed.ts. */
function unpacked(format: PackedFormat, codes: Nd, scales: Nd, zeroPoints: Nd | undefined): Nd {
  const { bits, signed, rows, columns, row_stride, block_rows, block_columns, codebook } = format
  const out = filled([rows, columns])
  const blocksAcross = Math.ceil(columns / block_columns)
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const firstBit = (r * row_stride + c) * bits
      let code = 0
      for (let bit = 0; bit < bits; bit++) {
        const position = codebook ? (firstBit & ~7) + (7 - (firstBit & 7)) - (bits - 1) + bit : firstBit + bit
        const byte = at(codes.data, position >> 3) & 255
        code += ((byte >> (position & 7)) & 1) << bit
      }
      if (signed && code >= 1 << (bits - 1)) code -= 1 << bits
      const block = Math.floor(r / block_rows) * blocksAcross + Math.floor(c / block_columns)
      const level = codebook
        ? at(CODEBOOKS[codebook], code)
        : code - (zeroPoints ? at(zeroPoints.data, block) : format.zero_point)
      out.data[r * columns + c] = level * at(scales.data, block)
    }
  }
  return out
}

/** DynamicQuantizeLinear, with onnxruntime's float32 steps: levels are (rounded - zero point), x is about levels * scale. */
function roundedDynamically(x: Nd): { levels: Nd; scale: number } {
  const f = Math.fround
  let low = 0
  let high = 0
  for (const value of x.data) {
    low = Math.min(low, f(value))
    high = Math.max(high, f(value))
  }
  const scale = low === high ? 1 : f(f(high - low) / 255)
  const zeroPoint = roundHalfToEven(Math.max(0, Math.min(255, f(-low / scale))))
  return {
    levels: map(x, (value) => Math.max(0, Math.min(255, roundHalfToEven(f(f(value) / scale)) + zeroPoint)) - zeroPoint),
    scale,
  }
}

function roundHalfToEven(x: number): number {
  const low = Math.floor(x)
  if (x - low !== 0.5) return Math.round(x)
  return low % 2 === 0 ? low : low + 1
}
