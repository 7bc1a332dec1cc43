/**
 * Writes the Program while the graph is walked: ops with their types inferred, and host values brought in as constants (known
 * for the key) or as program inputs (dependent on the fed mask). What would do nothing is not emitted.
 */
import { elementCount, GraphError, type Tensor } from '../ir'
import { outputTypes, sameDims, type OpDraft } from '../op-types'
import type { Op, Program, ValueDType, ValueType } from '../program'
import { full, type NdArray } from '../host/array'
import { HostLane, type DeviceLane, type Lane, type PackedWeight } from './lanes'

/** Stands for -Infinity in masks: a row that is masked as a whole then stays finite in Softmax and its gradient. */
const LOWEST = -3.4e38
/** Constants of the file beyond this are weights, and no weight is searched for infinities. */
const SEARCHED_ELEMENTS = 65536

type Without<Member, Key extends PropertyKey> = Member extends unknown ? Omit<Member, Key> : never
/** An op without names: the emitter knows whose node it is and what its inputs are called. */
export type BareOp = Without<OpDraft, 'name' | 'inputs'>

/** Values made from other host values that all keys of a model share, by the value they were made from. */
export type DerivedCache = WeakMap<HostLane, Map<string, HostLane>>

export class Emitter {
  /** Name and first output of the node being normalised. */
  private label = ''
  private base = ''
  private readonly ops: Op[] = []
  private readonly inputs: string[] = []
  private readonly constants = new Map<string, Tensor>()
  private readonly values = new Map<string, ValueType>()
  private readonly producers = new Map<string, Op>()
  private readonly hostNames = new Map<HostLane, string>()
  private readonly sharedLanes = new Map<string, HostLane>()
  private readonly taken: Set<string>
  /** The last number given to a name that was taken: names that repeat without end are not counted through each time. */
  private readonly numbered = new Map<string, number>()
  /** Mask-dependent values the program reads, by input name. */
  readonly fed = new Map<string, HostLane>()

  /** @param reserved names kept for the program's own inputs and outputs */
  constructor(
    private readonly derived: DerivedCache,
    reserved: readonly string[],
  ) {
    this.taken = new Set(reserved)
  }

  /** Ops emitted from now on belong to this node. */
  at(label: string, output: string): void {
    this.label = label
    this.base = output
  }

  /** A program input fed with floats; its name has to be a reserved one. */
  input(name: string, dims: readonly number[]): DeviceLane {
    this.inputs.push(name)
    return this.declare(name, { dtype: 'float32', dims })
  }

  /** Emits an op with one output that matters. */
  emit(op: BareOp, operands: readonly Lane[]): DeviceLane {
    const inputs = operands.map((lane) => this.operand(lane))
    return this.push({ ...op, name: this.label, inputs })
  }

  /** A q8 linear layer; its weight and zero points stay the integers of the file. */
  emitQuantized(x: DeviceLane, weight: HostLane, scale: HostLane, zeroPoint: HostLane, simulate_rounding: boolean): DeviceLane {
    const inputs = [x.name, this.integers(weight), this.operand(scale), this.integers(zeroPoint)]
    return this.push({ op: 'DynamicQuantizedMatMul', name: this.label, inputs, attrs: { simulate_rounding } })
  }

  /** A linear layer whose weight stays packed. */
  emitPacked(x: DeviceLane, { format, codes, scales, zero_points }: PackedWeight): DeviceLane {
    const zeros = zero_points && (zero_points.dtype === 'float32' ? this.operand(zero_points) : this.integers(zero_points))
    const inputs = [x.name, this.integers(codes), this.operand(scales), ...(zeros === null ? [] : [zeros])]
    return this.push({ op: 'PackedMatMul', name: this.label, inputs, attrs: format })
  }

  /** A constant that stays the bytes it is in the file. */
  private integers(lane: HostLane): string {
    if (lane.file?.dtype !== 'int8' && lane.file?.dtype !== 'uint8')
      throw new GraphError(`'${lane.name}' is not an int8 or uint8 constant`)
    return this.constant(lane, lane.file)
  }

  reshape(x: Lane, dims: readonly number[]): DeviceLane {
    const producer = x.kind === 'device' ? this.producers.get(x.name) : undefined
    const [source] = producer?.op === 'Reshape' ? producer.inputs : []
    const from = source === undefined ? x : this.known(source)
    if (from.kind === 'device' && sameDims(from.dims, dims)) return from
    return this.emit({ op: 'Reshape', attrs: { dims } }, [from])
  }

  expand(x: Lane, dims: readonly number[]): DeviceLane {
    if (x.kind === 'device' && sameDims(x.dims, dims)) return x
    return this.emit({ op: 'Expand', attrs: { dims } }, [x])
  }

  slice(x: DeviceLane, axis: number, start: number, end: number): DeviceLane {
    if (start === 0 && end === x.dims[axis]) return x
    return this.emit({ op: 'Slice', attrs: { axis, start, end } }, [x])
  }

  concat(parts: readonly Lane[], axis: number): DeviceLane {
    const [only] = parts
    if (parts.length === 1 && only?.kind === 'device') return only
    return this.emit({ op: 'Concat', attrs: { axis } }, parts)
  }

  /** A float32 constant of shape []. */
  scalar(value: number): HostLane {
    return this.shared(`scalar ${value}`, (name) => HostLane.of(name, full('float32', [], value)))
  }

  /** A constant made for this key that several nodes use, such as the causal mask; `name` tells all of it. */
  shared(name: string, make: (name: string) => HostLane): HostLane {
    const lane = this.sharedLanes.get(name) ?? make(name)
    this.sharedLanes.set(name, lane)
    return lane
  }

  /** A constant computed from another, once per model where that one depends on the file alone. */
  derive(from: HostLane, key: string, make: (from: HostLane) => HostLane): HostLane {
    const known = this.derived.get(from) ?? new Map<string, HostLane>()
    this.derived.set(from, known)
    const lane = known.get(key) ?? make(from)
    known.set(key, lane)
    return lane
  }

  /** The program so far, with `output` under its final name. */
  program(output: DeviceLane, name: string): Program {
    const ops = [...this.ops]
    const values = new Map(this.values)
    // A copy, which tidy() turns into a renaming of the op that makes the value.
    ops.push({ op: 'Reshape', name, inputs: [output.name], outputs: [name], attrs: { dims: output.dims } })
    values.set(name, { dtype: output.dtype, dims: output.dims })
    return { ops, inputs: this.inputs, outputs: [name], constants: this.constants, values }
  }

  /** Name of a value as an op's input. @throws GraphError for what cannot reach the device */
  private operand(lane: Lane): string {
    if (lane.kind === 'device') return lane.name
    if (lane.kind !== 'host') {
      throw new GraphError(`a quantised value ('${lane.kind}') is used outside DynamicQuantizeLinear, MatMulInteger, Cast, Mul`)
    }
    if (lane.taint === 'input_ids')
      throw new GraphError(`'${lane.name}' depends on input_ids other than through the embedding lookup`)
    if (lane.taint) return this.feed(lane)
    const finite = this.finite(lane)
    return this.constant(finite, finite.tensor)
  }

  private feed(lane: HostLane): string {
    const known = this.hostNames.get(lane)
    if (known !== undefined) return known
    const name = this.fresh(lane.name)
    this.hostNames.set(lane, name)
    this.inputs.push(name)
    this.fed.set(name, lane)
    this.declare(name, { dtype: deviceDType(lane), dims: lane.dims })
    return name
  }

  private constant(lane: HostLane, tensor: Tensor): string {
    const known = this.hostNames.get(lane)
    if (known !== undefined) return known
    const name = this.fresh(lane.name)
    this.hostNames.set(lane, name)
    this.constants.set(name, tensor)
    this.values.set(name, { dtype: constantDType(tensor), dims: tensor.dims })
    return name
  }

  private finite(lane: HostLane): HostLane {
    if (lane.dtype !== 'float32' || (lane.file && elementCount(lane.dims) > SEARCHED_ELEMENTS)) return lane
    return lane.array.data.includes(-Infinity) ? this.derive(lane, 'finite', withoutInfinity) : lane
  }

  private push(draft: OpDraft): DeviceLane {
    const types = outputTypes(
      draft,
      draft.inputs.map((name) => this.known(name)),
    )
    const lanes = types.map((type) => this.declare(this.fresh(this.base), type))
    const [first] = lanes
    if (!first) throw new GraphError(`${draft.op} has no output`)
    if (this.ops.length >= MAX_OPS) throw new GraphError(`more than ${MAX_OPS} operations`)
    const op: Op = { ...draft, outputs: lanes.map((lane) => lane.name) }
    this.ops.push(op)
    this.producers.set(first.name, op)
    return first
  }

  private known(name: string): DeviceLane {
    const type = this.values.get(name)
    if (!type) throw new GraphError(`the program has no value '${name}'`)
    return { kind: 'device', name, dims: type.dims, dtype: type.dtype }
  }

  private declare(name: string, type: ValueType): DeviceLane {
    checkSize(type.dims)
    this.values.set(name, type)
    return this.known(name)
  }

  private fresh(base: string): string {
    let name = base
    let n = this.numbered.get(base) ?? 0
    while (this.taken.has(name)) name = `${base}~${++n}`
    this.numbered.set(base, n)
    this.taken.add(name)
    return name
  }
}

/** More than fits any device's memory a thousand times over: no estimate need be made of it. */
const MAX_DEVICE_ELEMENTS = 2 ** 40
const MAX_RANK = 32
/** Most nodes give one op; one with very many inputs or ranges gives as many. */
const MAX_OPS = 100_000

function checkSize(dims: readonly number[]): void {
  if (dims.length > MAX_RANK) throw new GraphError(`a value of ${dims.length} axes, the limit is ${MAX_RANK}`)
  const wrong = dims.find((dim) => !Number.isSafeInteger(dim) || dim < 0)
  const count = elementCount(dims)
  if (wrong !== undefined || !(count <= MAX_DEVICE_ELEMENTS))
    throw new GraphError(
      `a value of [${dims.join(', ')}] can't be: ${wrong === undefined ? `it has ${count} elements` : `${wrong} is no size`}`,
    )
}

/** As fed: floats clamped as constants are. */
export function clamped(array: NdArray): NdArray {
  if (!array.data.includes(-Infinity)) return array
  return { ...array, data: Float32Array.from(array.data, (value) => (value === -Infinity ? LOWEST : value)) }
}

function withoutInfinity(lane: HostLane): HostLane {
  return HostLane.of(lane.name, clamped(lane.constant), { isStatic: lane.isStatic })
}

function deviceDType(lane: HostLane): 'float32' | 'int32' | 'bool' {
  return lane.dtype === 'float32' || lane.dtype === 'bool' ? lane.dtype : 'int32'
}

function constantDType(tensor: Tensor): ValueDType {
  switch (tensor.dtype) {
    case 'bool':
    case 'int32':
    case 'int8':
    case 'uint8':
      return tensor.dtype
    default:
      return 'float32'
  }
}
