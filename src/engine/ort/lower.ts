/**
 * A Program as an ONNX model (opset 21 and onnxruntime's own com.microsoft ops), for onnxruntime's CPU provider.
 *
 * Standard ops are nearly themselves here; the composites are written out by family in the lower-*.ts files. Nothing is
 * fused or folded by hand that onnxruntime does well by itself. Weights become initializers whose bytes are the file's own.
 */
import type { Node, OnnxModel, ValueInfo } from '../../graph/ir'
import type { Op, Program } from '../../graph/program'
import { rowsWithin, sliceWeights, type StoredMatrix } from '../slice-weights'
import { GraphBuilder, MICROSOFT } from './graph-builder'
import { lowerBarrier } from './lower-barrier'
import { lowerGelu, lowerGeluGrad, lowerSilu, lowerSiluGrad } from './lower-activations'
import { lowerAttention, lowerAttentionGrad, lowerRotary, lowerRotaryGrad } from './lower-attention'
import { lowerGatherRows, lowerGatherRowsGrad } from './lower-rows'
import { lowerLabelLogProbability, lowerSoftmaxCrossEntropy, lowerWeightedLogSoftmax } from './lower-losses'
import { lowerMatMul } from './lower-matmul'
import { lowerLayerNorm, lowerLayerNormGrad, lowerRMSNorm, lowerRMSNormGrad } from './lower-norms'
import { lowerPackedMatMul } from './lower-packed'
import { lowerDynamicQuantizedMatMul, lowerDynamicQuantizedMatMulGrad } from './lower-quantized'
import {
  lowerArgMax,
  lowerElementwise,
  lowerExpand,
  lowerPad,
  lowerReduce,
  lowerReshape,
  lowerSlice,
  lowerWithAxis,
  lowerTranspose,
} from './lower-standard'

/** First opset with int4 and with DequantizeLinear in blocks; its successors are onnxruntime's concern, not ours. */
const OPSET = 21
const IR_VERSION = 10
/** Most elements of a weight of 16 bits and less that are expanded to float32 at once: 32 MiB. */
const EXPANDED_ELEMENTS = 2 ** 23

/**
 * The ONNX model that computes `program`: inputs and outputs in the program's order (each output once), dims fixed. Names are the
 * program's, but for an output that is an input or a constant as it is. Constants no op reads are left out.
 * @throws EngineError for a program that is inconsistent (an op lacks an input, a value has no type)
 */
export function lower(whole: Program, expanded_elements = EXPANDED_ELEMENTS): OnnxModel {
  const program = sliceWeights(whole, (weight) =>
    weight.dtype === 'float32' ? readable(weight) : Math.floor(expanded_elements / Math.max(1, weight.columns)),
  )
  const builder = new GraphBuilder(program)
  for (const op of program.ops) {
    builder.begin(op)
    lowerOp(op, builder)
  }
  const computed = new Set(builder.nodes.flatMap((node) => node.outputs))
  const outputs = [...new Set(program.outputs)].map((name): ValueInfo => {
    const { dtype, dims } = builder.type(name)
    // ONNX wants every output to come from a node; a fed value or a constant may be asked for just as well.
    return { name: computed.has(name) ? name : builder.node('Identity', [name]), dtype, dims }
  })
  return {
    ir_version: IR_VERSION,
    producer_name: 'promptlathe',
    opsets: new Map([
      ['', OPSET],
      [MICROSOFT, 1],
    ]),
    graph: {
      name: 'program',
      nodes: lastFirst(builder.nodes),
      inputs: program.inputs.map((name): ValueInfo => ({ name, ...builder.type(name) })),
      outputs,
      initializers: builder.initializers,
    },
  }
}

/**
 * Last op first. onnxruntime sorts the nodes by itself, depth first from the outputs; of a node's inputs the one made by the node that stands
 * last in the file is computed first. From this file it runs the program about as it is written. From one in running order it computed
 * whatever of the backward half needs no gradient (the slopes of all layers) during the forward one: 302 MB instead of 240.
 */
function lastFirst(nodes: readonly Node[]): readonly Node[] {
  return nodes.toReversed()
}

/**
 * While a session is made, weights that are not in memory are read into memory as large as the largest of them (ort-session.ts), beside the session's
 * own copy. A head [V,H] of float32 is the largest by far; in pieces it costs a few additions at label rows.
 */
const READ_BYTES = 32 * 2 ** 20
const readable = (weight: StoredMatrix): number => (weight.bytes <= 2 * READ_BYTES ? Infinity : rowsWithin(READ_BYTES)(weight))

function lowerOp(op: Op, builder: GraphBuilder): void {
  switch (op.op) {
    case 'Neg':
    case 'Abs':
    case 'Reciprocal':
    case 'Sqrt':
    case 'Exp':
    case 'Log':
    case 'Erf':
    case 'Tanh':
    case 'Sigmoid':
    case 'Relu':
    case 'Sin':
    case 'Cos':
    case 'Not':
    case 'Add':
    case 'Sub':
    case 'Mul':
    case 'Div':
    case 'Pow':
    case 'Max':
    case 'Min':
    case 'Greater':
    case 'Equal':
    case 'Where':
      return lowerElementwise(op, builder)
    case 'MatMul':
      return lowerMatMul(op, builder)
    case 'Softmax':
    case 'LogSoftmax':
    case 'Concat':
    case 'Gather':
      return lowerWithAxis(op, builder)
    case 'ReduceSum':
    case 'ReduceMean':
    case 'ReduceMax':
      return lowerReduce(op, builder)
    case 'Reshape':
      return lowerReshape(op, builder)
    case 'Expand':
      return lowerExpand(op, builder)
    case 'Transpose':
      return lowerTranspose(op, builder)
    case 'Slice':
      return lowerSlice(op, builder)
    case 'Pad':
      return lowerPad(op, builder)
    case 'ArgMax':
      return lowerArgMax(op, builder)
    case 'LayerNorm':
      return lowerLayerNorm(op, builder)
    case 'LayerNormGrad':
      return lowerLayerNormGrad(op, builder)
    case 'RMSNorm':
      return lowerRMSNorm(op, builder)
    case 'RMSNormGrad':
      return lowerRMSNormGrad(op, builder)
    case 'Gelu':
      return lowerGelu(op, builder)
    case 'GeluGrad':
      return lowerGeluGrad(op, builder)
    case 'Silu':
      return lowerSilu(op, builder)
    case 'SiluGrad':
      return lowerSiluGrad(op, builder)
    case 'RotaryEmbedding':
      return lowerRotary(op, builder)
    case 'RotaryEmbeddingGrad':
      return lowerRotaryGrad(op, builder)
    case 'Attention':
      return lowerAttention(op, builder)
    case 'AttentionGrad':
      return lowerAttentionGrad(op, builder)
    case 'GatherRows':
      return lowerGatherRows(op, builder)
    case 'GatherRowsGrad':
      return lowerGatherRowsGrad(op, builder)
    case 'SoftmaxCrossEntropy':
      return lowerSoftmaxCrossEntropy(op, builder)
    case 'LabelLogProbability':
      return lowerLabelLogProbability(op, builder)
    case 'WeightedLogSoftmax':
      return lowerWeightedLogSoftmax(op, builder)
    case 'DynamicQuantizedMatMul':
      return lowerDynamicQuantizedMatMul(op, builder)
    case 'DynamicQuantizedMatMulGrad':
      return lowerDynamicQuantizedMatMulGrad(op, builder)
    case 'PackedMatMul':
    case 'PackedMatMulGrad':
      return lowerPackedMatMul(op, builder)
    case 'Barrier':
      return lowerBarrier(op, builder)
  }
}
