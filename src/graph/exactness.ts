/**
 * How closely two right implementations of a file agree, which depends on where the file has its numbers rounded. It knows the graph's nodes
 * and weights, and no engine.
 */
import { intAttribute } from './host/attributes'
import { cutGraphs, roundsActivations, type CutGraph, type CutModel } from './cut'

/**
 * - float32: sums of products in another order.
 * - float16: values are stored in 16 bits, and onnxruntime rounds to them between the ops of a half-precision graph. We compute in float32.
 * - rounded: activations are rounded to 8 bits in the graph itself, and we do likewise; one rounding may still fall the other way.
 * - int8: onnxruntime may round activations to 8 bits where the graph does not say so (MatMulNBits with accuracy_level 4). We do not.
 */
export type Exactness = 'float32' | 'float16' | 'rounded' | 'int8'

/** MatMulNBits' accuracy_level: "int8" allows to round its input to 8 bits. */
const INT8_LEVEL = 4

export function exactnessOf(cut: CutModel): Exactness {
  const graphs = cutGraphs(cut)
  if (graphs.some(roundsByLevel)) return 'int8'
  if (roundsActivations(cut)) return 'rounded'
  return graphs.some(isHalf) ? 'float16' : 'float32'
}

const roundsByLevel = ({ graph }: CutGraph): boolean =>
  graph.nodes.some((node) => node.op_type === 'MatMulNBits' && intAttribute(node, 'accuracy_level', 0) === INT8_LEVEL)

const isHalf = ({ graph }: CutGraph): boolean =>
  [...graph.initializers.values()].some(({ dtype }) => dtype === 'float16' || dtype === 'bfloat16')
