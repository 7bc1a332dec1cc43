/**
 * Computes a value at some rows only. Where [B,S,X] is followed by nothing but row-wise work (linear layers, norms, activations,
 * residual sums), taking rows first and working after gives the same numbers for less: with label rows no [S,V] logits ever
 * exist, and the last layer's MLP runs on those rows alone; with the first rows, the gradient's last steps shrink likewise.
 *
 * Only work that nothing else needs at all rows moves behind the selection, so nothing is computed twice.
 */
import { GraphError } from './ir'
import { positiveAxis, sameDims } from './op-types'
import type { Op, Program } from './program'
import { ProgramBuilder, ProgramView } from './rewrite'

export interface RowSelection {
  /** Rows kept of each batch row. */
  readonly rows: number
  /** Emits [B,S,X] -> [B,rows,X]. */
  select(builder: ProgramBuilder, value: string): string
}

export interface RestrictedRows {
  /** Holds the program's ops, some of them on fewer rows; ready to go on with. */
  readonly builder: ProgramBuilder
  /** The value at the selected rows, [B,rows,X]. */
  readonly value: string
}

/**
 * @param target a value [B,S,X] of the program; where it is an output, that output still has all rows
 * @throws GraphError when `target` has another rank
 */
export function restrictRows(program: Program, target: string, selection: RowSelection): RestrictedRows {
  const view = new ProgramView(program)
  const [batch, sequence, ...rest] = view.dims(target)
  if (batch === undefined || sequence === undefined || rest.length !== 1) {
    throw new GraphError(`'${target}' is [${view.dims(target).join(', ')}], not [batch, sequence, width]`)
  }
  const region = new RowRegion(view, target, batch, sequence)
  const builder = new ProgramBuilder(program, false)
  const selected = new Map<string, string>()

  /** The selected rows of a value: as computed by a moved op, or taken here. */
  const rowsOf = (value: string): string => {
    const known = selected.get(value)
    if (known !== undefined) return known
    const dims = view.dims(value)
    const width = dims.at(-1) ?? 1
    const rows = selection.select(builder, builder.reshape(value, [batch, sequence, width]))
    const result = dims.length === 3 ? rows : builder.reshape(rows, [batch * selection.rows, width])
    selected.set(value, result)
    return result
  }
  for (const op of program.ops) {
    builder.label = op.name
    if (!region.moved.has(op)) {
      builder.push(op)
      continue
    }
    const inputs = op.inputs.map((value) => (region.hasRows(value) ? rowsOf(value) : value))
    const draft = { ...op, inputs }
    // The only attribute that mentions the number of rows is a Reshape's shape.
    const width = view.dims(op.outputs[0] ?? '').at(-1) ?? 1
    const dims = view.dims(op.outputs[0] ?? '').length === 3 ? [batch, selection.rows, width] : [batch * selection.rows, width]
    const result = draft.op === 'Reshape' ? builder.reshape(inputs[0] ?? '', dims) : builder.emit(draft)
    selected.set(op.outputs[0] ?? '', result)
  }
  builder.label = target
  return { builder, value: rowsOf(target) }
}

/** The ops that can move behind the selection of rows, found from the target backwards. */
class RowRegion {
  readonly moved = new Set<Op>()

  constructor(
    private readonly view: ProgramView,
    target: string,
    private readonly batch: number,
    private readonly sequence: number,
  ) {
    const outputs = new Set(view.program.outputs)
    const wanted = new Set([target])
    for (const op of view.program.ops.toReversed()) {
      const value = op.outputs[0]
      if (op.outputs.length !== 1 || value === undefined || !wanted.has(value) || outputs.has(value)) continue
      if (!view.consumers(value).every((consumer) => this.moved.has(consumer)) || !this.isRowWise(op)) continue
      this.moved.add(op)
      for (const input of op.inputs) if (this.hasRows(input)) wanted.add(input)
    }
    this.keepCheapSums()
  }

  /** [B,S,X], or [B*S,X] as exporters of fused linear layers write it. */
  hasRows(value: string): boolean {
    const { dtype, dims } = this.view.type(value)
    if (dtype !== 'float32') return false
    if (dims.length === 3) return dims[0] === this.batch && dims[1] === this.sequence
    return dims.length === 2 && dims[0] === this.batch * this.sequence && !this.view.isConstant(value)
  }

  /** Is each row of the result computed from the same row of the inputs, and from what all rows share? */
  private isRowWise(op: Op): boolean {
    const [x, ...others] = op.inputs
    const output = op.outputs[0]
    if (x === undefined || output === undefined || !this.hasRows(output)) return false
    const lastAxis = this.view.dims(output).length - 1
    const alongRows = (axis: number) => positiveAxis(axis, lastAxis + 1) === lastAxis
    switch (op.op) {
      case 'MatMul':
        return this.hasRows(x) && !op.attrs.transA && others.every((w) => this.view.dims(w).length === 2)
      case 'DynamicQuantizedMatMul':
        return this.hasRows(x) && this.mayMoveQuantized(op)
      case 'DynamicQuantizedMatMulGrad':
      case 'PackedMatMul':
      case 'PackedMatMulGrad':
      case 'LayerNorm':
      case 'RMSNorm':
        return this.hasRows(x)
      case 'LayerNormGrad':
      case 'RMSNormGrad':
      case 'GeluGrad':
      case 'SiluGrad':
        return this.hasRows(x) && others[0] !== undefined && this.hasRows(others[0])
      case 'Softmax':
      case 'LogSoftmax':
        return this.hasRows(x) && alongRows(op.attrs.axis)
      case 'ReduceSum':
      case 'ReduceMean':
      case 'ReduceMax':
        return this.hasRows(x) && op.attrs.keepdims && op.attrs.axes.every(alongRows)
      case 'Slice':
      case 'Pad':
        return this.hasRows(x) && alongRows(op.attrs.axis)
      case 'Concat':
        return op.inputs.every((part) => this.hasRows(part)) && alongRows(op.attrs.axis)
      case 'Reshape':
        return this.hasRows(x) && this.view.dims(x).at(-1) === this.view.dims(output).at(-1)
      case 'Gelu':
      case 'Silu':
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
      case 'Add':
      case 'Sub':
      case 'Mul':
      case 'Div':
      case 'Pow':
      case 'Max':
      case 'Min':
      case 'Where':
        return op.inputs.every((input) => this.isShared(input) || this.rowsLike(input, output))
      default:
        return false
    }
  }

  /** Broadcasts over rows: nothing in it tells rows apart. */
  private isShared(value: string): boolean {
    return (
      !this.hasRows(value) &&
      this.view
        .dims(value)
        .slice(0, -1)
        .every((dim) => dim === 1)
    )
  }

  /** Has the rows of `other` in the same layout; the last axis may be 1. */
  private rowsLike(value: string, other: string): boolean {
    return this.hasRows(value) && sameDims(this.view.dims(value).slice(0, -1), this.view.dims(other).slice(0, -1))
  }

  /**
   * Rounding of activations takes one scale from the whole tensor, so fewer rows round a little differently. The head may: its [S,V] is
   * what must not be computed (cached decoding gives it one row, too). Layers before it stay as onnxruntime computes them.
   */
  private mayMoveQuantized(op: Op): boolean {
    if (op.op !== 'DynamicQuantizedMatMul' || !op.attrs.simulate_rounding) return true
    return ![...this.moved].some(({ op: other }) => ['MatMul', 'DynamicQuantizedMatMul', 'PackedMatMul'].includes(other))
  }

  /** A sum of values that are selected rows themselves (or those plus a bias) stays where it is: one selection, not two. */
  private keepCheapSums(): void {
    for (const op of this.view.program.ops) {
      if (this.moved.has(op) && this.rowInputs(op).length > 1 && this.isCheapSum(op)) this.keep(op)
    }
  }

  private rowInputs(op: Op): string[] {
    return [...new Set(op.inputs)].filter((input) => this.hasRows(input))
  }

  private movedProducer(value: string): Op | undefined {
    const op = this.view.producer(value)
    return op !== undefined && this.moved.has(op) ? op : undefined
  }

  /** Arithmetic on nothing but selected rows, and on such arithmetic. */
  private isCheapSum(op: Op): boolean {
    if (!['Add', 'Sub', 'Mul', 'Div'].includes(op.op)) return false
    return this.rowInputs(op).every((input) => {
      const producer = this.movedProducer(input)
      return producer === undefined || this.isCheapSum(producer)
    })
  }

  private keep(op: Op): void {
    this.moved.delete(op)
    for (const input of this.rowInputs(op)) {
      const producer = this.movedProducer(input)
      if (producer) this.keep(producer)
    }
  }
}
