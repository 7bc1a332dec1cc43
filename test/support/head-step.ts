/** A training step of nothing but an LM head, in every precision heads come in: for tests of engines that can't hold it in one piece. */
import type { HostArray } from '../../src/engine/engine'
import { elementCount, type Tensor } from '../../src/graph/ir'
import { trainingProgram } from '../../src/graph/objective'
import { ProgramBuilder } from '../../src/graph/rewrite'
import { float32ToFloat16, fromFloat32 } from '../../src/graph/tensor'
import { seeded } from './op-case'
import type { TrainingStep } from './tiny-causal'

const [B, S, L, H, V] = [2, 6, 2, 256, 1000] as const

export const HEAD_PRECISIONS = ['float32', 'float16', 'q8', 'q8 rounded', 'q4'] as const
export type HeadPrecision = (typeof HEAD_PRECISIONS)[number]

/** Bytes of the largest value of a step: its logits. */
export const HEAD_VALUE_BYTES = 4 * B * L * V
/** Bytes of the head as it is stored, without scales. */
export const headBytes = (precision: HeadPrecision): number =>
  V * H * { float32: 4, float16: 2, q8: 1, 'q8 rounded': 1, q4: 0.5 }[precision]

/** Logits are inputs_embeds times the head; the loss of two labels a row, and the gradient of three positions. */
export function headStep(precision: HeadPrecision): TrainingStep {
  const builder = new ProgramBuilder({ ops: [], inputs: [], outputs: [], constants: new Map(), values: new Map() }, false)
  const x = builder.input('inputs_embeds', { dtype: 'float32', dims: [B, S, H] })
  builder.label = 'lm_head'
  const next = seeded(7)
  const floats = (dims: readonly number[], low: number, high: number): string => {
    const data = Float32Array.from({ length: elementCount(dims) }, () => low + (high - low) * next())
    return builder.constant(fromFloat32(dims, data), 'floats')
  }
  const bytes = (dims: readonly number[], low = 0, high = 255): string => {
    const data = Uint8Array.from({ length: elementCount(dims) }, () => low + Math.floor((high - low + 1) * next()))
    return builder.sharedConstant({ dtype: 'uint8', dims, bytes: data }, `${dims.length} ${low}`, 'uint8')
  }
  const product = (): string => {
    switch (precision) {
      case 'float32':
        return builder.matMul(x, floats([V, H], -0.1, 0.1), false, true)
      case 'float16': {
        const bits = Uint16Array.from({ length: H * V }, () => float32ToFloat16(0.2 * next() - 0.1))
        const weight: Tensor = { dtype: 'float16', dims: [H, V], bytes: new Uint8Array(bits.buffer) }
        return builder.matMul(x, builder.constant(weight, 'halves'))
      }
      case 'q8':
      case 'q8 rounded': {
        const inputs = [x, bytes([H, V]), floats([V], 0.0004, 0.001), bytes([V], 120, 136)]
        const attrs = { simulate_rounding: precision === 'q8 rounded' }
        return builder.emit({ op: 'DynamicQuantizedMatMul', name: 'lm_head', inputs, attrs })
      }
      case 'q4': {
        const inputs = [x, bytes([(V * H) / 2]), floats([(V * H) / 32], 0.005, 0.02)]
        const codes = { bits: 4, signed: false, rows: V, columns: H, row_stride: H, transposed: true, zero_point: 8 } as const
        const attrs = { ...codes, block_rows: 1, block_columns: 32, codebook: null }
        return builder.emit({ op: 'PackedMatMul', name: 'lm_head', inputs, attrs })
      }
    }
  }
  builder.outputAs(product(), 'logits')
  const program = trainingProgram(builder.finish(['logits']), { label_length: L, gradient_lengths: { inputs_embeds: 3 } })
  return {
    program,
    feeds: new Map<string, HostArray>([
      ['inputs_embeds', Float32Array.from({ length: B * S * H }, () => 2 * next() - 1)],
      ['label_positions', Int32Array.of(1, 2, 0, 2)],
      ['label_ids', Int32Array.from({ length: B * L }, () => Math.floor(next() * V))],
      ['label_weights', Float32Array.of(0.3, 0.2, 0.4, 0.1)],
    ]),
  }
}
