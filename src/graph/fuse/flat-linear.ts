/**
 * Linear layers written on flat rows: Reshape [B,S,K] -> [B*S,K], MatMul, Add, Reshape back, as exporters of Conv1D (GPT-2) and of Gemm
 * do. The work is the same on [B,S,K], so both Reshapes go. Not a composite, but it brings what stands between them into one form.
 */
import { sameDims } from '../op-types'
import type { Op } from '../program'
import type { ProgramBuilder, ProgramView } from '../rewrite'
import type { FusionRule } from './rule'

export const flatLinear: FusionRule = (op, { view }) => {
  const [flat] = op.inputs
  const [output] = op.outputs
  if (op.op !== 'Reshape' || flat === undefined || output === undefined) return undefined
  const dims = view.dims(output)
  const width = dims.at(-1) ?? 0
  if (dims.length !== 3 || view.dims(flat).length !== 2 || view.dims(flat)[1] !== width) return undefined
  const chain = rowWiseChain(view, flat)
  const flattening = view.made(chain.source, 'Reshape')
  const source = flattening?.inputs[0]
  // Layers that share their flattened input each lose their Reshape; the last one leaves none behind.
  if (chain.ops.length === 0 || source === undefined || !sameDims(view.dims(source).slice(0, 2), dims.slice(0, 2)))
    return undefined
  if (view.dims(source).length !== 3 || view.dims(source)[2] !== view.dims(chain.source)[1]) return undefined
  return (builder) => {
    let value = source
    chain.ops.forEach((step, i) => {
      const inputs = step.inputs.map((input) => (isFlatInput(view, step, input) ? value : input))
      value = emitStep(builder, step, inputs, i === chain.ops.length - 1 ? output : undefined)
    })
  }
}

function emitStep(builder: ProgramBuilder, step: Op, inputs: readonly string[], output: string | undefined): string {
  return builder.emit({ ...step, inputs }, output)
}

/** The linear layer's ops back from its flat output, in execution order, and the flat value they begin with. */
function rowWiseChain(view: ProgramView, value: string): { ops: Op[]; source: string } {
  const ops: Op[] = []
  let source = value
  for (let op = view.producer(source); op !== undefined; op = view.producer(source)) {
    const [first, second] = op.inputs
    if (first === undefined || second === undefined) break
    if (op.op === 'MatMul') {
      if (op.attrs.transA || view.dims(second).length !== 2 || !view.isConstant(second)) break
    } else if (op.op === 'Add') {
      if (op.inputs.filter((input) => isFlatInput(view, op, input)).length !== 1) break
    } else if (op.op !== 'DynamicQuantizedMatMul' && op.op !== 'PackedMatMul') break
    ops.unshift(op)
    source = op.inputs.find((input) => isFlatInput(view, op, input)) ?? first
  }
  return { ops, source }
}

/** The activations among a step's inputs: the first of a product, the one of a sum that is not a bias vector. */
function isFlatInput(view: ProgramView, step: Op, input: string): boolean {
  if (step.op !== 'Add') return input === step.inputs[0]
  return !(view.isConstant(input) && view.dims(input).length <= 1)
}
