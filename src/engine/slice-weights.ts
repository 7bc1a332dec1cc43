/**
 * Matrix products with large weights taken apart: a device may not hold a whole [V,H] table in one binding, or should not expand all of it to
 * float32 at once. The weight becomes several constants of whole rows, views of the file's bytes; where rows are outputs the results stand
 * side by side, where they are inputs they add up. Knows Programs and no device.
 */
import { elementCount, type DType, type Tensor } from '../graph/ir'
import { bytesFormat, type PackedFormat } from '../graph/packed'
import type { OpDraft } from '../graph/op-types'
import type { Op, OpNamed, Program } from '../graph/program'
import { ProgramBuilder } from '../graph/rewrite'
import { byteLength, partOf } from '../graph/tensor'

/** A weight as it lies in the file. */
export interface StoredMatrix {
  readonly dtype: DType
  readonly rows: number
  readonly columns: number
  /** Of the weight itself, without scales. */
  readonly bytes: number
}

type Product = OpNamed<'MatMul' | 'PackedMatMul' | 'PackedMatMulGrad'>

/** Pieces of a tensor, the same objects for every program: engines keep one copy for each Tensor. */
const pieces = new WeakMap<Tensor, Map<string, Tensor>>()

function pieceOf(tensor: Tensor, dims: readonly number[], start: number, end: number): Tensor {
  const known = pieces.get(tensor) ?? new Map<string, Tensor>()
  pieces.set(tensor, known)
  const key = `${start} ${end}`
  const piece = known.get(key) ?? partOf(tensor, dims, start, end - start)
  known.set(key, piece)
  return piece
}

/** Rows of a weight that take at most so many bytes, as they are in the file. */
export const rowsWithin =
  (most_bytes: number) =>
  ({ rows, bytes }: StoredMatrix): number =>
    Math.floor((most_bytes * rows) / Math.max(1, bytes))

/** @param mostRows rows of a weight that one product may take; what can't be taken apart stays whole */
export function sliceWeights(program: Program, mostRows: (weight: StoredMatrix) => number): Program {
  const plans = new Map<Op, SlicePlan>()
  for (const op of program.ops) {
    const plan = planFor(op, program, mostRows)
    if (plan) plans.set(op, plan)
  }
  if (plans.size === 0) return program
  const builder = new ProgramBuilder(program, false)
  for (const op of program.ops) {
    const plan = plans.get(op)
    if (plan) new SlicedProduct(builder, plan).emit()
    else builder.push(op)
  }
  return builder.finish(program.outputs)
}

interface SlicePlan {
  readonly product: Product
  readonly rows: number
  /** Rows of all pieces but the last. */
  readonly most: number
  /** Rows of the weight are outputs of the product. */
  readonly outputs: boolean
}

function planFor(op: Op, program: Program, mostRows: (weight: StoredMatrix) => number): SlicePlan | undefined {
  const product = asProduct(op, program)
  const tensor = program.constants.get(product?.inputs[1] ?? '')
  if (!product || !tensor) return undefined
  const matrix = matrixOf(product, tensor)
  const step = matrix && (product.op === 'MatMul' ? 1 : rowStep(product.attrs))
  if (!matrix || !step) return undefined
  const most = Math.max(1, Math.floor(mostRows(matrix) / step)) * step
  if (!(most < matrix.rows)) return undefined
  const outputs = product.op === 'MatMul' ? product.attrs.transB : (product.op === 'PackedMatMul') === product.attrs.transposed
  return { product, rows: matrix.rows, most, outputs }
}

/** An op as one of those that can be taken apart: a q8 layer whose activations stay float is a packed product. */
function asProduct(op: Op, program: Program): Product | undefined {
  switch (op.op) {
    case 'MatMul':
      return op.attrs.transA ? undefined : op
    case 'PackedMatMul':
    case 'PackedMatMulGrad':
      return op
    case 'DynamicQuantizedMatMul':
    case 'DynamicQuantizedMatMulGrad': {
      const [weight, scales] = [program.values.get(op.inputs[1] ?? ''), program.values.get(op.inputs[2] ?? '')]
      if (!weight || !scales || (op.op === 'DynamicQuantizedMatMul' && op.attrs.simulate_rounding)) return undefined
      const attrs = bytesFormat(weight, elementCount(scales.dims))
      return { ...op, op: op.op === 'DynamicQuantizedMatMul' ? 'PackedMatMul' : 'PackedMatMulGrad', attrs }
    }
    default:
      return undefined
  }
}

function matrixOf(product: Product, tensor: Tensor): StoredMatrix | undefined {
  const { dtype, dims } = tensor
  const bytes = byteLength(tensor)
  if (product.op !== 'MatMul') return { dtype, rows: product.attrs.rows, columns: product.attrs.columns, bytes }
  const [rows, columns] = dims
  const floats = dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16'
  return floats && dims.length === 2 && rows !== undefined && columns !== undefined ? { dtype, rows, columns, bytes } : undefined
}

/** Pieces begin with a byte and hold whole blocks; a block of all rows may be cut, it has one scale. Undefined: not at all. */
function rowStep({ rows, row_stride, bits, block_rows }: PackedFormat): number | undefined {
  if ((row_stride * bits) % 8 !== 0) return undefined
  return block_rows === rows ? 1 : block_rows
}

class SlicedProduct {
  constructor(
    private readonly builder: ProgramBuilder,
    private readonly plan: SlicePlan,
  ) {}

  emit(): void {
    const { builder } = this
    const { product, rows, most, outputs } = this.plan
    const [x = ''] = product.inputs
    const [output = ''] = product.outputs
    builder.label = product.name
    const last = builder.dims(x).length - 1
    const parts: string[] = []
    for (let first = 0; first < rows; first += most) {
      const end = Math.min(first + most, rows)
      parts.push(this.part(outputs ? x : builder.slice(x, last, first, end), first, end - first))
    }
    const [head = '', ...tail] = parts
    if (outputs) builder.emit({ op: 'Concat', name: product.name, inputs: parts, attrs: { axis: last } }, output)
    else {
      tail.reduce((sum, part, i) => {
        const draft: OpDraft = { op: 'Add', name: product.name, inputs: [sum, part], attrs: {} }
        return builder.emit(draft, i === tail.length - 1 ? output : undefined)
      }, head)
    }
  }

  private part(x: string, first: number, count: number): string {
    const { builder } = this
    const { product, rows } = this.plan
    const { name } = product
    if (product.op === 'MatMul') {
      const [columns = 1] = builder.dims(product.inputs[1] ?? '').slice(1)
      return builder.emit({ ...product, name, inputs: [x, this.constant(1, first, count, [count, columns])] })
    }
    const { attrs } = product
    // One block of all rows has one scale for every piece.
    const shared = attrs.block_rows === rows
    const constants = product.inputs.slice(1).map((input, i) => {
      return i > 0 && shared ? input : this.constant(i + 1, first, count, null)
    })
    const format = { ...attrs, rows: count, block_rows: shared ? count : attrs.block_rows }
    return builder.emit({ ...product, name, inputs: [x, ...constants], attrs: format })
  }

  /** Rows [first, first + count) of input `i`: its bytes are spread over the rows evenly (blocks of several rows: over the blocks'). */
  private constant(i: number, first: number, count: number, dims: readonly number[] | null): string {
    const { builder } = this
    const { product, rows } = this.plan
    const source = product.inputs[i] ?? ''
    const tensor = builder.constantTensor(source)
    const block = i > 1 && product.op !== 'MatMul' ? product.attrs.block_rows : 1
    const each = byteLength(tensor) / Math.ceil(rows / block)
    const [start, end] = [(first / block) * each, Math.ceil((first + count) / block) * each]
    const size = byteLength(tensor) / elementCount(tensor.dims)
    const piece = pieceOf(tensor, dims ?? [(end - start) / size], start, end)
    return builder.sharedConstant(piece, `${source} from ${first}`, builder.type(source).dtype)
  }
}
