/**
 * q8 linear layers (onnxruntime's quantize_dynamic): DynamicQuantizeLinear(x) -> MatMulInteger -> Cast -> Mul by the product
 * of both scales. The four nodes become one DynamicQuantizedMatMul at the last Mul; on the way there are only markers. Several
 * MatMulIntegers may share one DynamicQuantizeLinear.
 */
import { elementCount, type Tensor } from '../ir'
import { fromNumbers, withDims } from '../host/array'
import { fromIntegers } from '../tensor'
import { HostLane, type Lane } from './lanes'
import { deviceInput, fail, hostInput, input, type DeviceCall, type DeviceRule } from './rule'

export const DynamicQuantizeLinear: DeviceRule = (call) => {
  const of = deviceInput(call, 0)
  return [
    { kind: 'quantized', role: 'levels', of, dims: of.dims },
    { kind: 'quantized', role: 'scale', of, dims: [] },
    { kind: 'quantized', role: 'zero_point', of, dims: [] },
  ]
}

export const MatMulInteger: DeviceRule = (call) => {
  const levels = input(call, 0)
  const weight = hostInput(call, 1)
  const activationZero = call.inputs[2]
  if (levels.kind !== 'quantized' || levels.role !== 'levels') return fail('input 0 does not come from DynamicQuantizeLinear')
  if (activationZero?.kind !== 'quantized' || activationZero.role !== 'zero_point' || activationZero.of !== levels.of) {
    return fail('input 2 is not the zero point of input 0')
  }
  const [k, n] = weight.dims
  if (weight.dims.length !== 2 || n === undefined || k !== levels.dims.at(-1)) {
    return fail(`a weight of [${weight.dims.join(', ')}] for values of [${levels.dims.join(', ')}]`)
  }
  const zero_point = call.inputs[3] ? hostInput(call, 3) : null
  return [{ kind: 'integer product', of: levels.of, weight, zero_point, dims: [...levels.dims.slice(0, -1), n] }]
}

/**
 * What Mul makes of the markers: the product of the two scales, or the finished linear layer. Undefined where neither operand
 * is one, i.e. for an ordinary Mul.
 */
export function scaledProduct(call: DeviceCall, a: Lane, b: Lane): Lane | undefined {
  for (const [left, right] of [
    [a, b],
    [b, a],
  ] as const) {
    if (left.kind === 'quantized' && left.role === 'scale' && right.kind === 'host') {
      return { kind: 'scales', of: left.of, weight_scale: right, dims: right.dims }
    }
    if (left.kind !== 'integer product') continue
    if (right.kind !== 'scales' || right.of !== left.of) return fail('the integer product is not multiplied by its own scales')
    const columns = left.weight.dims[1] ?? 0
    const scale = call.emit.derive(right.weight_scale, 'vector', asVector)
    const zero = zeroPoint(call, left.weight, left.zero_point, elementCount(scale.dims))
    if (scale.dims[0] !== 1 && scale.dims[0] !== columns) return fail(`${scale.dims[0]} scales for ${columns} columns`)
    return call.emit.emitQuantized(left.of, left.weight, scale, zero, call.simulate_rounding)
  }
  return undefined
}

/** [n], where exporters write a scalar or a vector. */
function asVector(lane: HostLane): HostLane {
  if (lane.dims.length === 1) return lane
  return HostLane.of(lane.name, withDims(lane.constant, [elementCount(lane.dims)]), { isStatic: lane.isStatic })
}

/** The weight's zero points, one for each of `count` scales, in the weight's own type. Absent ones are 0. */
function zeroPoint(call: DeviceCall, weight: HostLane, given: HostLane | null, count: number): HostLane {
  if (given?.dims.length === 1 && given.dims[0] === count) return given
  return call.emit.derive(given ?? weight, `zero points ${count}`, (from) => {
    const dtype = weight.file?.dtype
    if (dtype !== 'int8' && dtype !== 'uint8') return fail(`the weight is ${dtype ?? 'computed'}, int8 or uint8 was expected`)
    const values = given?.constant.data ?? new Float64Array(1)
    if (values.length !== 1 && values.length !== count) return fail(`${values.length} zero points for ${count} scales`)
    const all = Array.from({ length: count }, (_, i) => values[values.length === 1 ? 0 : i] ?? 0)
    const tensor: Tensor = fromIntegers(dtype, [count], all)
    const array = fromNumbers(dtype, [count], all)
    return new HostLane({ name: `${from.name}~zero_points`, dims: [count], dtype, make: () => array, isStatic: true, tensor })
  })
}
