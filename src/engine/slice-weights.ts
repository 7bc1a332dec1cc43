/**
 * Matrix products with large weights taken apart: a device may not hold a whole [V,H] table in one binding, or should not expand all of it to
 * float32 at once. The weight becomes several constants of whole rows, views of the file's bytes; where rows are outputs the results stand
 * side by side, where they are inputs they add up. A q8 layer that rounds its input is cut into columns, which are outputs: the rounding is of the
 * whole input, so that of a part of it would be another. Knows Programs and no device.
 */
import { columnsOf } from '../graph/columns'
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

type QuantizedProduct = OpNamed<'DynamicQuantizedMatMul' | 'DynamicQuantizedMatMulGrad'>
type RowProduct = OpNamed<'MatMul' | 'PackedMatMul' | 'PackedMatMulGrad'>

/** Pieces of a tensor, the same objects for every program: engines keep one copy for each Tensor. */
const pieces = new WeakMap<Tensor, Map<string, Tensor>>()

function pieceOf(tensor: Tensor, key: string, make: () => Tensor): Tensor {
  const known = pieces.get(tensor) ?? new Map<string, Tensor>()
  pieces.set(tensor, known)
  const piece = known.get(key) ?? make()
  known.set(key, piece)
  return piece
}

/** Rows of a weight that take at most so many bytes, as they are in the file. */
export const rowsWithin =
  (most_bytes: number) =>
  ({ rows, bytes }: StoredMatrix): number =>
    Math.floor((most_bytes * rows) / Math.max(1, bytes))

/** @param mostRows rows of a weight that one product may take (columns count as rows where it is cut into those); what can't be taken apart stays whole */
export function sliceWeights(program: Program, mostRows: (weight: StoredMatrix) => number): Program {
  const rounded = new Set<string>()
  for (const op of program.ops) {
    if (op.op === 'DynamicQuantizedMatMul' && op.attrs.simulate_rounding) rounded.add(op.inputs[1] ?? '')
  }
  const plans = new Map<Op, SlicePlan>()
  for (const op of program.ops) {
    // The gradient, too, of a layer that rounds: both have the same pieces.
    const quantized = op.op === 'DynamicQuantizedMatMul' || op.op === 'DynamicQuantizedMatMulGrad'
    const byColumns = quantized && rounded.has(op.inputs[1] ?? '')
    const plan = byColumns ? columnPlan(op, program, mostRows) : rowPlan(op, program, mostRows)
    if (plan) plans.set(op, plan)
  }
  if (plans.size === 0) return program
  const builder = new ProgramBuilder(program, false)
  for (const op of program.ops) {
    const plan = plans.get(op)
    if (plan) emit(builder, op, plan)
    else builder.push(op)
  }
  return builder.finish(program.outputs)
}

interface SlicePlan {
  /** Rows, or columns, of the weight. */
  readonly lines: number
  /** Those of all pieces but the last. */
  readonly most: number
  /** They are outputs of the product. */
  readonly outputs: boolean
  /** The product of x with lines [first, first + count). */
  readonly part: (builder: ProgramBuilder, x: string, first: number, count: number) => string
}

function columnPlan(op: QuantizedProduct, program: Program, mostRows: (weight: StoredMatrix) => number): SlicePlan | undefined {
  const tensor = program.constants.get(op.inputs[1] ?? '')
  const [rows, columns] = tensor?.dims ?? []
  if (!tensor || rows === undefined || columns === undefined) return undefined
  const most = Math.max(1, mostRows({ dtype: tensor.dtype, rows: columns, columns: rows, bytes: byteLength(tensor) }))
  if (!(most < columns)) return undefined
  const part = (builder: ProgramBuilder, x: string, first: number, count: number): string => {
    const [weight = '', ...perColumn] = op.inputs.slice(1)
    const key = `${first} ${count} columns`
    const codes = pieceOf(tensor, key, () => columnsOf(tensor, first, count))
    const parts = perColumn.map((name) => {
      const all = builder.constantTensor(name)
      // One for all columns, or one for each.
      if (elementCount(all.dims) === 1) return name
      const size = byteLength(all) / columns
      const some = pieceOf(all, key, () => partOf(all, [count], first * size, count * size))
      return builder.sharedConstant(some, `${name} from column ${first}`, builder.type(name).dtype)
    })
    const constants = [builder.sharedConstant(codes, `${weight} from column ${first}`, builder.type(weight).dtype), ...parts]
    return builder.emit({ ...op, inputs: [x, ...constants] })
  }
  return { lines: columns, most, outputs: op.op === 'DynamicQuantizedMatMul', part }
}

function rowPlan(op: Op, program: Program, mostRows: (weight: StoredMatrix) => number): SlicePlan | undefined {
  const product = asRowProduct(op, program)
  const tensor = program.constants.get(product?.inputs[1] ?? '')
  if (!product || !tensor) return undefined
  const matrix = matrixOf(product, tensor)
  const step = matrix && (product.op === 'MatMul' ? 1 : rowStep(product.attrs))
  if (!matrix || !step) return undefined
  const { rows } = matrix
  const most = Math.max(1, Math.floor(mostRows(matrix) / step)) * step
  if (!(most < rows)) return undefined
  const outputs = product.op === 'MatMul' ? product.attrs.transB : (product.op === 'PackedMatMul') === product.attrs.transposed
  const part = (builder: ProgramBuilder, x: string, first: number, count: number) =>
    rowsPart(builder, product, rows, x, first, count)
  return { lines: rows, most, outputs, part }
}

/** An op as one of those that can be cut into rows: a q8 layer whose activations stay float is a packed product. */
function asRowProduct(op: Op, program: Program): RowProduct | undefined {
  switch (op.op) {
    case 'MatMul':
      return op.attrs.transA ? undefined : op
    case 'PackedMatMul':
    case 'PackedMatMulGrad':
      return op
    case 'DynamicQuantizedMatMul':
    case 'DynamicQuantizedMatMulGrad': {
      const [weight, scales] = [program.values.get(op.inputs[1] ?? ''), program.values.get(op.inputs[2] ?? '')]
      if (!weight || !scales) return undefined
      const attrs = bytesFormat(weight, elementCount(scales.dims))
      return { ...op, op: op.op === 'DynamicQuantizedMatMul' ? 'PackedMatMul' : 'PackedMatMulGrad', attrs }
    }
    default:
      return undefined
  }
}

function matrixOf(product: RowProduct, tensor: Tensor): StoredMatrix | undefined {
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

function emit(builder: ProgramBuilder, { name, inputs, outputs: made }: Op, { lines, most, outputs, part }: SlicePlan): void {
  const [x = ''] = inputs
  const [output = ''] = made
  builder.label = name
  const last = builder.dims(x).length - 1
  const parts: string[] = []
  for (let first = 0; first < lines; first += most) {
    const end = Math.min(first + most, lines)
    parts.push(part(builder, outputs ? x : builder.slice(x, last, first, end), first, end - first))
  }
  const [head = '', ...tail] = parts
  if (outputs) builder.emit({ op: 'Concat', name, inputs: parts, attrs: { axis: last } }, output)
  else {
    tail.reduce((sum, addend, i) => {
      const draft: OpDraft = { op: 'Add', name, inputs: [sum, addend], attrs: {} }
      return builder.emit(draft, i === tail.length - 1 ? output : undefined)
    }, head)
  }
}

function rowsPart(builder: ProgramBuilder, product: RowProduct, rows: number, x: string, first: number, count: number): string {
  /** Rows of input `i`: its bytes are spread over the rows evenly (blocks of several rows: over the blocks'). */
  const constant = (i: number, dims: readonly number[] | null): string => {
    const source = product.inputs[i] ?? ''
    const tensor = builder.constantTensor(source)
    const block = i > 1 && product.op !== 'MatMul' ? product.attrs.block_rows : 1
    const each = byteLength(tensor) / Math.ceil(rows / block)
    const [start, end] = [(first / block) * each, Math.ceil((first + count) / block) * each]
    const size = byteLength(tensor) / elementCount(tensor.dims)
    const piece = pieceOf(tensor, `${start} ${end}`, () => partOf(tensor, dims ?? [(end - start) / size], start, end - start))
    return builder.sharedConstant(piece, `${source} from ${first}`, builder.type(source).dtype)
  }
  if (product.op === 'MatMul') {
    const [columns = 1] = builder.dims(product.inputs[1] ?? '').slice(1)
    return builder.emit({ ...product, inputs: [x, constant(1, [count, columns])] })
  }
  const { attrs } = product
  // One block of all rows has one scale for every piece.
  const shared = attrs.block_rows === rows
  const constants = product.inputs.slice(1).map((input, i) => (i > 0 && shared ? input : constant(i + 1, null)))
  const format = { ...attrs, rows: count, block_rows: shared ? count : attrs.block_rows }
  return builder.emit({ ...product, inputs: [x, ...constants], attrs: format })
}
