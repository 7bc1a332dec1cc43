/** VJPs of the composites: each has a gradient composite of its own (program.ts says what it computes). */
import { input, output, type Backward, type VjpTable } from './rule'

/** Adds the gradient of the first input, from a gradient op that takes (dy, ...others). */
function firstInput(
  op: { inputs: readonly string[]; outputs: readonly string[]; op: string; name: string },
  back: Backward,
  gradient: () => string,
) {
  const x = input(op, 0)
  if (back.needs(x)) back.add(x, gradient())
}

export const composite: VjpTable = {
  LayerNorm: (op, dy, back) => {
    const inputs = [back.dense(dy, back.dims(output(op))), input(op, 0), input(op, 1)]
    firstInput(op, back, () => back.builder.emit({ op: 'LayerNormGrad', name: op.name, inputs, attrs: op.attrs }))
  },
  RMSNorm: (op, dy, back) => {
    const inputs = [back.dense(dy, back.dims(output(op))), input(op, 0), input(op, 1)]
    firstInput(op, back, () => back.builder.emit({ op: 'RMSNormGrad', name: op.name, inputs, attrs: op.attrs }))
  },
  Gelu: (op, dy, back) => {
    const inputs = [back.dense(dy, back.dims(output(op))), input(op, 0)]
    firstInput(op, back, () => back.builder.emit({ op: 'GeluGrad', name: op.name, inputs, attrs: op.attrs }))
  },
  Silu: (op, dy, back) => {
    const inputs = [back.dense(dy, back.dims(output(op))), input(op, 0)]
    firstInput(op, back, () => back.builder.emit({ op: 'SiluGrad', name: op.name, inputs, attrs: {} }))
  },
  RotaryEmbedding: (op, dy, back) => {
    const inputs = [back.dense(dy, back.dims(output(op))), input(op, 1), input(op, 2)]
    firstInput(op, back, () => back.builder.emit({ op: 'RotaryEmbeddingGrad', name: op.name, inputs, attrs: {} }))
  },
  Attention: (op, dy, back) => {
    const qkv = [input(op, 0), input(op, 1), input(op, 2)]
    const inputs = [back.dense(dy, back.dims(output(op))), ...qkv, output(op, 1)]
    const gradients = back.builder.emitAll({ op: 'AttentionGrad', name: op.name, inputs, attrs: op.attrs })
    qkv.forEach((value, i) => {
      const gradient = gradients[i]
      if (gradient !== undefined && back.needs(value)) back.add(value, gradient)
    })
  },
  GatherRows: (op, dy, back) => {
    const sequence_length = back.dims(input(op, 0))[1] ?? 0
    const inputs = [back.dense(dy, back.dims(output(op))), input(op, 1)]
    firstInput(op, back, () => back.builder.emit({ op: 'GatherRowsGrad', name: op.name, inputs, attrs: { sequence_length } }))
  },
}
