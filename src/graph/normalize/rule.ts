/** What a normalisation rule is: a function named as the ONNX op, from one node with a device input to dialect ops. */
import { GraphError, type Attribute, type Node } from '../ir'
import { broadcastDims, int64s, integers, type NdArray } from '../host/array'
import type { HostCall } from '../host/op'
import type { Emitter } from './emitter'
import { HostLane, type DeviceLane, type Lane } from './lanes'

export interface DeviceCall {
  readonly node: Node
  readonly opset: number
  /** null where an optional input is absent. */
  readonly inputs: readonly (Lane | null)[]
  readonly emit: Emitter
  readonly simulate_rounding: boolean
  /**
   * The result of an op of the host interpreter (operator set HOST_OPSET) on host values, computed again for each batch where one
   * of them is: for rules that prepare masks and tables.
   */
  readonly host: (op_type: string, inputs: readonly HostLane[], attributes?: Readonly<Record<string, Attribute>>) => HostLane
}

/** Operator set of the ops that rules run on the host. */
export const HOST_OPSET = 18

/** Its results, in the order of the node's outputs; null for one that nothing reads. */
export type DeviceRule = (call: DeviceCall) => readonly (Lane | null)[]

/** A required input. @throws GraphError when absent */
export function input(call: DeviceCall, i: number): Lane {
  return call.inputs[i] ?? fail(`input ${i} is missing`)
}

/** A required input that has to be on the device. */
export function deviceInput(call: DeviceCall, i: number): DeviceLane {
  const lane = input(call, i)
  return lane.kind === 'device' ? lane : fail(`input ${i} is a ${lane.kind} value, which is not supported here`)
}

/** A required input that has to be known for the key or the batch. */
export function hostInput(call: DeviceCall, i: number): HostLane {
  const lane = input(call, i)
  return lane.kind === 'host' ? lane : fail(`input ${i} has to be a constant`)
}

/** An optional input that has to be known for the key or the batch; undefined where it is absent. */
export function optionalHost(call: DeviceCall, i: number): HostLane | undefined {
  return call.inputs[i] ? hostInput(call, i) : undefined
}

/** An optional input that has to be a computed value; undefined where it is absent. */
export function optionalDevice(call: DeviceCall, i: number): DeviceLane | undefined {
  return call.inputs[i] ? deviceInput(call, i) : undefined
}

/** Indices, axes or dimensions given as input `i`. */
export function integersInput(call: DeviceCall, i: number): number[] {
  return integers(hostInput(call, i).constant)
}

/** The call as the host interpreter's helpers want it: inputs from 1 on as arrays, the device operand left out. */
export function asHostCall(call: DeviceCall): HostCall {
  const arrays = call.inputs.map((lane, i) => (i === 0 || lane?.kind !== 'host' ? null : lane.constant))
  return { node: call.node, opset: call.opset, inputs: arrays }
}

/** The one value all elements of a constant have; undefined for other lanes and mixed values. */
export function uniform(lane: Lane): number | undefined {
  if (lane.kind !== 'host' || lane.taint) return undefined
  const { data } = lane.array
  const [first] = data
  for (let i = 1; i < data.length; i++) if (data[i] !== first) return undefined
  return first
}

/** The array of a lane that is constant for the key. */
export function constantArray(lane: Lane): NdArray | undefined {
  return lane.kind === 'host' && !lane.taint ? lane.array : undefined
}

/**
 * A constant that repeats along the first axis (a mask or table computed for each row of the batch) with that axis cut to 1,
 * where broadcasting against `other` brings it back.
 */
export function withoutRepeats(call: DeviceCall, lane: Lane, other: Lane): Lane {
  const rows = lane.dims[0] ?? 1
  if (lane.kind !== 'host' || lane.taint || rows < 2 || lane.dims.length < 2) return lane
  if (other.dims.length !== lane.dims.length || other.dims[0] !== rows) return lane
  const { data, dims, dtype } = lane.array
  const size = data.length / rows
  for (let i = size; i < data.length; i++) if (data[i] !== data[i - size]) return lane
  return call.emit.derive(lane, 'without repeats', (from) =>
    HostLane.of(from.name, { dtype, dims: [1, ...dims.slice(1)], data: data.subarray(0, size) }, { isStatic: from.isStatic }),
  )
}

/** A host value under another shape. */
export function reshaped(call: DeviceCall, lane: HostLane, dims: readonly number[]): HostLane {
  return call.host('Reshape', [lane, HostLane.of('dims', int64s(dims))])
}

/** Dimensions of an element-wise result. */
export function resultDims(...operands: readonly Lane[]): number[] {
  return broadcastDims(...operands.map((lane) => lane.dims))
}

export function fail(message: string): never {
  throw new GraphError(message)
}
