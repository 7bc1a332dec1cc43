/**
 * A program made ready for walking: what each op reads under which name, and what may be freed after it, so that only what is
 * still needed lives on the device. Pure; also the place that says no to programs the device can't hold.
 */
import type { Tensor } from '../../graph/ir'
import type { Op, Program, ValueType } from '../../graph/program'
import { EngineError } from '../engine'
import { deviceBytes, type DeviceDType } from './backend'
import { deviceDType } from './weights'

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
  readonly zero_point: Tensor | null
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
    if (deviceBytes(type) > max_tensor_bytes) {
      throw new EngineError(
        `'${name}' [${type.dims.join(', ')}] takes ${megabytes(deviceBytes(type))}, and this device holds at most ` +
          `${megabytes(max_tensor_bytes)} in one tensor`,
      )
    }
    return type
  }
  const slot = (name: string): OutputSlot => ({ name, dtype: deviceDType(typeOf(name)), dims: typeOf(name).dims })

  const constants = new Map<string, PlannedConstant>()
  const read = (name: string): string => {
    const tensor = program.constants.get(name)
    if (tensor !== undefined) constants.set(name, { name, tensor, type: typeOf(name), zero_point: null })
    return name
  }
  const defined = new Set<string>([...program.inputs, ...program.constants.keys()])
  const lastUse = new Map<string, number>()
  const steps = program.ops.map((op, index) => {
    const label = `${op.op} '${op.name}'`
    for (const name of op.inputs) {
      if (!defined.has(name)) throw new EngineError(`${label} reads '${name}' before anything makes it`)
    }
    const inputs = isQuantised(op) ? quantisedInputs(op, program, typeOf, constants, read) : op.inputs.map(read)
    for (const name of [...inputs, ...op.outputs]) lastUse.set(name, index)
    for (const name of op.outputs) defined.add(name)
    return { op, label, inputs, outputs: op.outputs.map(slot) }
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

function isQuantised(op: Op): boolean {
  return op.op === 'DynamicQuantizedMatMul' || op.op === 'DynamicQuantizedMatMulGrad'
}

/** The weight of a quantised op has its zero point taken off when it is uploaded, so the op reads (x, that weight, scale). */
function quantisedInputs(
  op: Op,
  program: Program,
  typeOf: (name: string) => ValueType,
  constants: Map<string, PlannedConstant>,
  read: (name: string) => string,
): string[] {
  const [x = '', w = '', w_scale = '', w_zero_point = ''] = op.inputs
  const tensor = program.constants.get(w)
  const zero_point = program.constants.get(w_zero_point)
  if (tensor === undefined || zero_point === undefined) {
    throw new EngineError(`${op.op} '${op.name}': the weight and its zero point have to be constants`)
  }
  const centred = `${w} - ${w_zero_point}`
  constants.set(centred, { name: w, tensor, type: typeOf(w), zero_point })
  return [read(x), centred, read(w_scale)]
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`
}
