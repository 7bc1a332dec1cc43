/**
 * float32 models as float16.py of transformers.js' scripts makes them (onnxconverter-common's, with keep_io_types): weights and
 * constants rounded, a Cast behind every float input and before every float output, and around the ops it keeps in float32.
 */
import type { Attribute, DType, Graph, Node, OnnxModel, Tensor, ValueInfo } from '../../../src/graph/ir'
import { DATA_TYPES } from '../../../src/graph/onnx-enums'
import { float16ToFloat32, float32ToFloat16, fromFloat32, toFloat32 } from '../../../src/graph/tensor'
import { node } from '../onnx'
import { dtypesOf } from './dtypes'

/** Of float16.py: larger numbers (a mask's -3.4e38) become the one, smaller ones but 0 the other. */
const MAX_FINITE = 1e4
const MIN_POSITIVE = 1e-7
/** Its DEFAULT_OP_BLOCK_LIST, as far as text models have these ops. */
const BLOCKED = new Set(['Range', 'CumSum', 'Max', 'Min', 'Upsample', 'Resize', 'TopK'])

const clamp = (value: number): number => {
  if (value === 0 || Number.isNaN(value)) return value
  const size = Math.abs(value)
  return Math.sign(value) * Math.min(MAX_FINITE, Math.max(MIN_POSITIVE, size))
}

export function toFloat16(tensor: Tensor): Tensor {
  if (tensor.dtype !== 'float32') return tensor
  const bits = Uint16Array.from(toFloat32(tensor), (value) => float32ToFloat16(clamp(value)))
  return { dtype: 'float16', dims: tensor.dims, bytes: new Uint8Array(bits.buffer) }
}

/** The float32 numbers that float16 makes of a tensor's. */
export function roundToFloat16(tensor: Tensor): Tensor {
  if (tensor.dtype !== 'float32') return tensor
  return fromFloat32(
    tensor.dims,
    toFloat32(tensor).map((value) => float16ToFloat32(float32ToFloat16(clamp(value)))),
  )
}

/** The model in float16; inputs and outputs stay float32. */
export function float16Model(model: OnnxModel): OnnxModel {
  const { graph } = model
  const types = dtypesOf(graph)
  const fed = graph.inputs.filter(({ dtype }) => dtype === 'float32')
  const given = graph.outputs.filter(({ dtype }) => dtype === 'float32')
  const renamed = new Map(fed.map(({ name }) => [name, `${name}_fp16`]))
  const produced = new Map(given.map(({ name }) => [name, `${name}_fp16`]))
  const inner = convertGraph(graph, types, (name) => renamed.get(name) ?? produced.get(name) ?? name)
  const before = fed.map(({ name }) => cast(name, `${name}_fp16`, 'float16'))
  // An input handed on as an output goes through both.
  const after = given.map(({ name }) => cast(`${name}_fp16`, name, 'float32'))
  return {
    ...model,
    graph: { ...inner, nodes: [...before, ...inner.nodes, ...after], inputs: graph.inputs, outputs: graph.outputs },
  }
}

/** The model in float32, computing with the numbers that float16 makes of its constants; initializers called `...except` stay. */
export function roundedToFloat16(model: OnnxModel, except = '\0'): OnnxModel {
  const kept = [...model.graph.initializers].filter(([name]) => name.endsWith(except))
  const graph = mapConstants(model.graph, roundToFloat16)
  return { ...model, graph: { ...graph, initializers: new Map([...graph.initializers, ...kept]) } }
}

function cast(from: string, to: string, dtype: DType): Node {
  return node('Cast', [from], [to], { to: DATA_TYPES[dtype] })
}

function mapConstants(graph: Graph, change: (tensor: Tensor) => Tensor): Graph {
  const nodes = graph.nodes.map((one) => ({
    ...one,
    attributes: new Map([...one.attributes].map(([name, attribute]) => [name, mapAttribute(attribute, change)])),
  }))
  return { ...graph, nodes, initializers: new Map([...graph.initializers].map(([name, tensor]) => [name, change(tensor)])) }
}

function mapAttribute(attribute: Attribute, change: (tensor: Tensor) => Tensor): Attribute {
  if (attribute.type === 'tensor') return { type: 'tensor', value: change(attribute.value) }
  if (attribute.type === 'graph') return { type: 'graph', value: mapConstants(attribute.value, change) }
  return attribute
}

function convertGraph(graph: Graph, types: ReadonlyMap<string, DType>, rename: (name: string) => string): Graph {
  const nodes = graph.nodes.flatMap((one) => convertNode(one, types, rename))
  const outputs = graph.outputs.map((info): ValueInfo => ({
    ...info,
    name: rename(info.name),
    dtype: info.dtype === 'float32' ? 'float16' : info.dtype,
  }))
  const initializers = new Map([...graph.initializers].map(([name, tensor]) => [name, toFloat16(tensor)]))
  return { ...graph, nodes, outputs, initializers }
}

function convertNode(one: Node, types: ReadonlyMap<string, DType>, rename: (name: string) => string): Node[] {
  const inputs = one.inputs.map(rename)
  const outputs = one.outputs.map(rename)
  const floats = (name: string) => types.get(name) === 'float32'
  if (BLOCKED.has(one.op_type) && (one.inputs.some(floats) || one.outputs.some(floats))) {
    const inside = inputs.map((name, i) => (floats(one.inputs[i] ?? '') ? `${outputs[0] ?? ''}_in${i}_fp32` : name))
    const before = inputs.flatMap((name, i) => (inside[i] === name ? [] : [cast(name, inside[i] ?? '', 'float32')]))
    const whole = outputs.map((name, i) => (floats(one.outputs[i] ?? '') ? `${name}_fp32` : name))
    const after = outputs.flatMap((name, i) => (whole[i] === name ? [] : [cast(whole[i] ?? '', name, 'float16')]))
    return [...before, { ...one, inputs: inside, outputs: whole }, ...after]
  }
  const attributes = new Map<string, Attribute>()
  for (const [name, attribute] of one.attributes) {
    if (attribute.type === 'tensor') attributes.set(name, { type: 'tensor', value: toFloat16(attribute.value) })
    else if (attribute.type === 'graph') {
      // Names of a branch are its own; those from around it are renamed where they are read.
      attributes.set(name, { type: 'graph', value: convertGraph(attribute.value, dtypesOf(attribute.value, types), rename) })
    } else if (name === 'to' && one.op_type === 'Cast' && attribute.value === DATA_TYPES.float32)
      attributes.set(name, { type: 'int', value: DATA_TYPES.float16 })
    else if (one.op_type === 'Constant' && (attribute.type === 'float' || attribute.type === 'floats')) {
      const data = Float32Array.from(attribute.type === 'float' ? [attribute.value] : attribute.value)
      attributes.set('value', {
        type: 'tensor',
        value: toFloat16(fromFloat32(attribute.type === 'float' ? [] : [data.length], data)),
      })
    } else attributes.set(name, attribute)
  }
  // Without a value ConstantOfShape makes float32 zeros.
  if (one.op_type === 'ConstantOfShape' && !one.attributes.has('value'))
    attributes.set('value', { type: 'tensor', value: toFloat16(fromFloat32([1], Float32Array.of(0))) })
  return [{ ...one, inputs, outputs, attributes }]
}
