/** Rules for normalisations, alone and fused with what is added before them. One function per ONNX op. */
import { elementCount } from '../ir'
import { axisOf, full, withDims } from '../host/array'
import { floatAttribute, intAttribute } from '../host/attributes'
import { HostLane, type DeviceLane, type Lane } from './lanes'
import { add } from './linear'
import { deviceInput, fail, input, type DeviceCall, type DeviceRule } from './rule'

/** Runs a normalisation over everything from `axis` on as one axis. `vectors` are scale and bias. */
function normalization(
  call: DeviceCall,
  x: DeviceLane,
  vectors: readonly Lane[],
  run: (x: DeviceLane, vectors: readonly Lane[]) => DeviceLane,
): DeviceLane {
  const axis = axisOf(intAttribute(call.node, 'axis', -1), x.dims.length)
  const size = elementCount(x.dims.slice(axis))
  const flat = vectors.map((lane) => vector(call, lane, size))
  if (axis === x.dims.length - 1) return run(x, flat)
  return call.emit.reshape(run(call.emit.reshape(x, [...x.dims.slice(0, axis), size]), flat), x.dims)
}

/** Scale or bias as [size]; exporters also write [1] and [1, 1, size]. */
function vector(call: DeviceCall, lane: Lane, size: number): Lane {
  if (lane.dims.length === 1 && lane.dims[0] === size) return lane
  if (lane.kind !== 'host' || lane.taint) return call.emit.reshape(lane, [size])
  return call.emit.derive(lane, `vector ${size}`, (from) => {
    const { data, dtype } = from.array
    const array = data.length === 1 ? full(dtype, [size], data[0] ?? NaN) : withDims(from.array, [size])
    return HostLane.of(from.name, array, { isStatic: from.isStatic })
  })
}

/** x normalised, with scale and bias; a bias of zeros where there is none. */
function layerNorm(call: DeviceCall, x: DeviceLane, scale: Lane, bias: Lane | null | undefined, byDefault: number): DeviceLane {
  const epsilon = floatAttribute(call.node, 'epsilon', byDefault)
  const none = (): Lane => {
    if (scale.kind !== 'host') return fail('without a bias the scale has to be a constant')
    return call.emit.derive(scale, 'no bias', (from) => {
      return HostLane.of(`${from.name}~no_bias`, full('float32', from.dims, 0), { isStatic: from.isStatic })
    })
  }
  return normalization(call, x, [scale, bias ?? none()], (rows, vectors) =>
    call.emit.emit({ op: 'LayerNorm', attrs: { epsilon } }, [rows, ...vectors]),
  )
}

function rmsNorm(call: DeviceCall, x: DeviceLane, scale: Lane, byDefault: number): DeviceLane {
  const epsilon = floatAttribute(call.node, 'epsilon', byDefault)
  return normalization(call, x, [scale], (rows, vectors) =>
    call.emit.emit({ op: 'RMSNorm', attrs: { epsilon } }, [rows, ...vectors]),
  )
}

export const LayerNormalization: DeviceRule = (call) => [
  layerNorm(call, deviceInput(call, 0), input(call, 1), call.inputs[2], 1e-5),
]

/**
 * ONNX's RMSNormalization (operator set 23), and SimplifiedLayerNormalization, onnxruntime's name for it, which fused exports declare
 * in the default domain.
 */
export const RMSNormalization: DeviceRule = (call) => [rmsNorm(call, deviceInput(call, 0), input(call, 1), 1e-5)]

/** The normalised sum is output 0, the sum itself output 3; 1 and 2 (mean and deviation) nothing reads but the training of weights. */
function withSum(sum: DeviceLane, normalised: DeviceLane): (Lane | null)[] {
  return [normalised, null, null, sum]
}

/** Input and skip (which may lack the batch) added, and a bias [H] where there is one. */
function skipSum(call: DeviceCall, bias: Lane | null | undefined): DeviceLane {
  const sum = add(call, input(call, 0), input(call, 1))
  return bias ? add(call, sum, bias) : sum
}

/** com.microsoft: (input, skip, gamma, beta?, bias?). */
export const SkipLayerNormalization: DeviceRule = (call) => {
  const sum = skipSum(call, call.inputs[4])
  return withSum(sum, layerNorm(call, sum, input(call, 2), call.inputs[3], 1e-12))
}

/** com.microsoft: (input, skip, gamma, bias?). */
export const SkipSimplifiedLayerNormalization: DeviceRule = (call) => {
  const sum = skipSum(call, call.inputs[3])
  return withSum(sum, rmsNorm(call, sum, input(call, 2), 1e-12))
}

/** x / its norm along one axis: the sum of magnitudes (p 1) or the root of the sum of squares (p 2). */
export const LpNormalization: DeviceRule = (call) => {
  const { emit, node } = call
  const x = deviceInput(call, 0)
  const axes = [axisOf(intAttribute(node, 'axis', -1), x.dims.length)]
  const p = intAttribute(node, 'p', 2)
  if (p !== 1 && p !== 2) return fail(`p is ${p}, 1 or 2 is supported`)
  const terms = p === 1 ? emit.emit({ op: 'Abs', attrs: {} }, [x]) : emit.emit({ op: 'Mul', attrs: {} }, [x, x])
  const total = emit.emit({ op: 'ReduceSum', attrs: { axes, keepdims: true } }, [terms])
  const norm = p === 1 ? total : emit.emit({ op: 'Sqrt', attrs: {} }, [total])
  return [emit.emit({ op: 'Div', attrs: {} }, [x, norm])]
}
