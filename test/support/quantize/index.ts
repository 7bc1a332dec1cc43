/**
 * The other precisions of a float32 model, as the hub's tools make them, and of each a float32 twin: the same graph computing with the
 * numbers its weights stand for. What a file and its twin differ by is only how activations are rounded on the way.
 */
import type { OnnxModel } from '../../../src/graph/ir'
import { blockModel, blockTwin, TWIN, type BlockOptions } from './blocks'
import { bnb4Model, bnb4Twin } from './bnb4'
import { dynamicModel, dynamicTwin, type DynamicOptions } from './dynamic'
import { float16Model, roundedToFloat16 } from './float16'

/** Named as transformers.js' dtypes; q8 is its default (one scale a column, 7 bits), int8 and uint8 have one scale a matrix. */
export const PRECISIONS = [
  'fp32',
  'fp16',
  'q8',
  'int8',
  'uint8',
  'q4',
  'q4 zero points',
  'q4f16',
  'q4 gather',
  'bnb4 nf4',
  'bnb4 fp4',
] as const
export type Precision = (typeof PRECISIONS)[number]

export interface InPrecision {
  readonly file: OnnxModel
  readonly twin: OnnxModel
}

const Q8: Readonly<Record<'q8' | 'int8' | 'uint8', DynamicOptions>> = {
  q8: { dtype: 'int8', per_channel: true, reduce_range: true },
  int8: { dtype: 'int8', per_channel: false, reduce_range: false },
  uint8: { dtype: 'uint8', per_channel: false, reduce_range: false },
}
const Q4: Readonly<Record<'q4' | 'q4 zero points' | 'q4 gather', BlockOptions>> = {
  q4: { zero_points: false, tables: false },
  'q4 zero points': { zero_points: true, tables: false },
  'q4 gather': { zero_points: false, tables: true },
}

/** @param model float32, flat or with the branches of a merged decoder */
export function inPrecision(model: OnnxModel, precision: Precision): InPrecision {
  switch (precision) {
    case 'fp32':
      return { file: model, twin: model }
    case 'fp16':
      return { file: float16Model(model), twin: roundedToFloat16(model) }
    case 'q8':
    case 'int8':
    case 'uint8':
      return { file: dynamicModel(model, Q8[precision]), twin: dynamicTwin(model, Q8[precision]) }
    case 'q4':
    case 'q4 zero points':
    case 'q4 gather':
      return { file: microsoft(blockModel(model, Q4[precision])), twin: blockTwin(model, Q4[precision]) }
    case 'q4f16':
      return { file: microsoft(float16Model(blockModel(model, Q4.q4))), twin: q4f16Twin(model) }
    case 'bnb4 nf4':
    case 'bnb4 fp4': {
      const type = precision === 'bnb4 nf4' ? 'nf4' : 'fp4'
      return { file: microsoft(bnb4Model(model, type)), twin: bnb4Twin(model, type) }
    }
  }
}

/** Its 4-bit weights have scales in float16; what they make of the levels is not rounded. */
const q4f16Twin = (model: OnnxModel): OnnxModel => roundedToFloat16(blockTwin(model, { ...Q4.q4, half_scales: true }), TWIN)

function microsoft(model: OnnxModel): OnnxModel {
  return { ...model, opsets: new Map([...model.opsets, ['com.microsoft', 1]]) }
}
