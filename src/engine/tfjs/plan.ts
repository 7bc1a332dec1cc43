/**
 * A program made ready for walking: what each op reads under which name, and what may be freed after it, so that only what is
 * still needed lives on the device. Pure; also the place that says no to programs the device can't hold.
 */
import { elementCount, type Tensor } from '../../graph/ir'
import { bytesFormat, type PackedFormat } from '../../graph/packed'
import type { Op, Program, ValueType } from '../../graph/program'
import { byteLength } from '../../graph/tensor'
import { EngineError } from '../engine'
import { deviceBytes, type DeviceDType } from './backend'
import type { HalfFormat } from './stored-weight'
import { deviceDType, type WeightForm } from './weights'

export interface OutputSlot {
  readonly name: string
  readonly dtype: DeviceDType
  readonly dims: readonly number[]
}

export interface Step {
  readonly op: Op
  /** For messages. */
  readonly label: string
  /** Names of values, feeds or constants. */
  readonly inputs: readonly string[]
  readonly outputs: readonly OutputSlot[]
  /** Values nobody reads after this step (its own unread outputs among them). */
  readonly frees: readonly string[]
}

/** A constant as some op needs it. */
export interface PlannedConstant {
  readonly name: string
  readonly tensor: Tensor
  readonly type: ValueType
  /** As numbers of its type, or as the bytes of the file in words of four (see stored-weight.ts). */
  readonly form: WeightForm
}

export interface Plan {
  readonly steps: readonly Step[]
  /** Inputs that something reads. */
  readonly feeds: readonly OutputSlot[]
  /** By the name the steps use. */
  readonly constants: ReadonlyMap<string, PlannedConstant>
}

/**
 * @param max_tensor_bytes what one tensor may take on the device
 * @throws EngineError naming the value or op that does not fit
 */
export function plan(program: Program, max_tensor_bytes: number): Plan {
  const typeOf = (name: string): ValueType => {
    const type = program.values.get(name)
    if (type === undefined) throw new EngineError(`the program gives no type for '${name}'`)
    assertFits(name, type.dims, deviceBytes(type), max_tensor_bytes)
    return type
  }
  const slot = (name: string): OutputSlot => ({ name, dtype: deviceDType(typeOf(name)), dims: typeOf(name).dims })

  const constants = new Map<string, PlannedConstant>()
  const read = (name: string): string => {
    const tensor = program.constants.get(name)
    if (tensor !== undefined) constants.set(name, { name, tensor, type: typeOf(name), form: 'numbers' })
    return name
  }
  const words = (label: string, name: string): string => {
    const tensor = program.constants.get(name)
    const type = program.values.get(name)
    if (!tensor || !type) throw new EngineError(`${label}: the weight '${name}' has to be a constant`)
    assertFits(name, type.dims, byteLength(tensor), max_tensor_bytes)
    const key = `${name} in words`
    constants.set(key, { name, tensor, type, form: 'words' })
    return key
  }
  const defined = new Set<string>([...program.inputs, ...program.constants.keys()])
  const lastUse = new Map<string, number>()
  const steps = program.ops.map((op, index) => {
    const label = `${op.op} '${op.name}'`
    for (const name of op.inputs) {
      if (!defined.has(name)) throw new EngineError(`${label} reads '${name}' before anything makes it`)
    }
    const stored = storedInputs(op, program)
    const inputs = op.inputs.map((name, i) => (stored?.inputs.has(i) ? words(label, name) : read(name)))
    for (const name of [...inputs, ...op.outputs]) lastUse.set(name, index)
    for (const name of op.outputs) defined.add(name)
    return { op: stored?.op ?? op, label, inputs, outputs: op.outputs.map(slot) }
  })
  for (const name of program.outputs) {
    if (!defined.has(name)) throw new EngineError(`nothing makes the program's output '${name}'`)
    lastUse.set(read(name), Infinity)
  }
  const frees: string[][] = steps.map(() => [])
  for (const [name, index] of lastUse) if (!constants.has(name)) frees[index]?.push(name)
  return {
    steps: steps.map((step, index) => ({ ...step, frees: frees[index] ?? [] })),
    feeds: program.inputs.filter((name) => lastUse.has(name)).map(slot),
    constants,
  }
}

/** Which inputs of an op are stored weights, and the op with what its implementation has to know of them; undefined: none. */
function storedInputs(op: Op, program: Program): { readonly op: Op; readonly inputs: ReadonlySet<number> } | undefined {
  const type = (i: number) => program.values.get(op.inputs[i] ?? '')
  switch (op.op) {
    case 'PackedMatMul':
    case 'PackedMatMulGrad':
      return { op, inputs: new Set(type(3)?.dtype === 'float32' ? [1] : [1, 3]) }
    case 'DynamicQuantizedMatMul': {
      const attrs = { ...op.attrs, ...bytesFormatOf(type(1), type(2)) }
      return { op: { ...op, attrs }, inputs: new Set([1, 3]) }
    }
    case 'DynamicQuantizedMatMulGrad':
      return { op: { ...op, attrs: bytesFormatOf(type(1), type(2)) }, inputs: new Set([1, 3]) }
    case 'MatMul': {
      const half = program.constants.get(op.inputs[1] ?? '')
      const [rows, columns] = half?.dims ?? []
      if (half?.dtype !== 'float16' && half?.dtype !== 'bfloat16') return undefined
      if (op.attrs.transA || rows === undefined || columns === undefined || half.dims.length !== 2) return undefined
      if ((type(0)?.dims.length ?? 0) < 2) return undefined
      const stored: HalfFormat = { half: half.dtype, rows, columns }
      const attrs = { ...op.attrs, stored }
      return { op: { ...op, attrs }, inputs: new Set([1]) }
    }
    default:
      return undefined
  }
}

function bytesFormatOf(weight: ValueType | undefined, scales: ValueType | undefined): PackedFormat {
  if (!weight || !scales) throw new EngineError('a quantised layer without a weight or scales')
  return bytesFormat(weight, elementCount(scales.dims))
}

function assertFits(name: string, dims: readonly number[], bytes: number, max_tensor_bytes: number): void {
  if (bytes <= max_tensor_bytes) return
  throw new EngineError(
    `'${name}' [${dims.join(', ')}] takes ${megabytes(bytes)}, and this device holds at most ` +
      `${megabytes(max_tensor_bytes)} in one tensor`,
  )
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`
}
