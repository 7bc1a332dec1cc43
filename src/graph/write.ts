/**
 * A graph to the bytes of an ONNX file, in chunks: weights are handed through as the views or slices they are, never copied.
 *
 * The inverse of `read.ts` (same field numbers, same spec). To change a file that exists, patch it (`bake.ts`) rather than
 * write it anew: the reader drops what the IR has no place for.
 */
import type { Attribute, Graph, LocalFunction, Node, OnnxModel, Tensor, ValueInfo } from './ir'
import { ATTRIBUTE_TYPES, DATA_TYPES } from './onnx-enums'
import type { Chunk } from './source'
import { byteLength, chunkOf } from './tensor'
import { WireWriter } from './wire'

export { concatBytes } from './source'

/** Before this IR version every initializer has to be a graph input too, which this project never writes. */
const MIN_IR_VERSION = 4
/** TensorProto.DataLocation. */
const EXTERNAL = 1

/**
 * The model as an ONNX file, in chunks to put one after the other. Weights are among them as views or slices, unless they are external data.
 * @param external initializers whose bytes stay out of the file: the name of the file that is just these bytes, by initializer
 */
export function writeModel(model: OnnxModel, external: ReadonlyMap<string, string> = new Map()): Chunk[] {
  const writer = new WireWriter()
  writer.int64(1, Math.max(model.ir_version, MIN_IR_VERSION))
  if (model.producer_name !== '') writer.string(2, model.producer_name)
  writer.message(7, encodeGraph(model.graph, external))
  for (const opset of model.opsets) writer.message(8, encodeOpset(opset))
  for (const local of model.functions ?? []) writer.message(25, encodeFunction(local))
  return writer.chunks()
}

function encodeOpset([domain, version]: readonly [string, number]): WireWriter {
  const opset = new WireWriter()
  if (domain !== '') opset.string(1, domain)
  opset.int64(2, version)
  return opset
}

function encodeFunction(local: LocalFunction): WireWriter {
  const writer = new WireWriter()
  writer.string(1, local.name)
  for (const input of local.inputs) writer.string(4, input)
  for (const output of local.outputs) writer.string(5, output)
  for (const name of referredTo(local.nodes)) if (!local.defaults.has(name)) writer.string(6, name)
  for (const node of local.nodes) writer.message(7, encodeNode(node))
  for (const opset of local.opsets) writer.message(9, encodeOpset(opset))
  if (local.domain !== '') writer.string(10, local.domain)
  for (const [name, attribute] of local.defaults) writer.message(11, encodeAttribute(name, attribute))
  if (local.overload !== '') writer.string(13, local.overload)
  return writer
}

/** The attributes a body takes from its call, which a FunctionProto has to name. */
function referredTo(nodes: readonly Node[]): Set<string> {
  return new Set(
    nodes.flatMap((node) => [
      ...(node.references?.values() ?? []),
      ...[...node.attributes.values()].flatMap((value) => (value.type === 'graph' ? [...referredTo(value.value.nodes)] : [])),
    ]),
  )
}

function encodeGraph(graph: Graph, external: ReadonlyMap<string, string>): WireWriter {
  const writer = new WireWriter()
  for (const node of graph.nodes) writer.message(1, encodeNode(node))
  if (graph.name !== '') writer.string(2, graph.name)
  for (const [name, tensor] of graph.initializers) {
    const location = external.get(name)
    writer.message(5, location === undefined ? encodeTensor(name, tensor) : encodeExternalTensor(name, tensor, location))
  }
  for (const input of graph.inputs) writer.message(11, encodeValueInfo(input))
  for (const output of graph.outputs) writer.message(12, encodeValueInfo(output))
  return writer
}

/** A NodeProto. */
export function encodeNode(node: Node): WireWriter {
  const writer = new WireWriter()
  for (const input of node.inputs) writer.string(1, input)
  for (const output of node.outputs) writer.string(2, output)
  if (node.name !== '') writer.string(3, node.name)
  writer.string(4, node.op_type)
  for (const [name, attribute] of node.attributes) writer.message(5, encodeAttribute(name, attribute))
  for (const [name, reference] of node.references ?? []) {
    const attribute = new WireWriter()
    attribute.string(1, name)
    attribute.string(21, reference)
    writer.message(5, attribute)
  }
  if (node.domain !== '') writer.string(7, node.domain)
  if (node.overload !== undefined) writer.string(8, node.overload)
  return writer
}

/** A TensorProto with raw_data (strings: the string_data fields the reader kept as they were). */
export function encodeTensor(name: string, tensor: Tensor): WireWriter {
  const writer = new WireWriter()
  if (tensor.dims.length > 0) writer.packedInt64(1, tensor.dims)
  writer.int64(2, DATA_TYPES[tensor.dtype])
  if (name !== '') writer.string(8, name)
  if (tensor.dtype === 'string') writer.raw(tensor.bytes)
  else writer.bytes(9, chunkOf(tensor))
  return writer
}

/** A TensorProto without its bytes, which are those of a file of their own. */
function encodeExternalTensor(name: string, tensor: Tensor, location: string): WireWriter {
  const writer = new WireWriter()
  if (tensor.dims.length > 0) writer.packedInt64(1, tensor.dims)
  writer.int64(2, DATA_TYPES[tensor.dtype])
  writer.string(8, name)
  encodeExternalData(writer, location, 0, byteLength(tensor))
  return writer
}

/** The fields of a TensorProto that say where its bytes lie. */
export function encodeExternalData(writer: WireWriter, location: string, offset: number, length: number): void {
  const entries = { location, offset: String(offset), length: String(length) }
  for (const [key, value] of Object.entries(entries)) {
    const entry = new WireWriter()
    entry.string(1, key)
    entry.string(2, value)
    writer.message(13, entry)
  }
  writer.int64(14, EXTERNAL)
}

function encodeAttribute(name: string, attribute: Attribute): WireWriter {
  const writer = new WireWriter()
  writer.string(1, name)
  switch (attribute.type) {
    case 'float':
      writer.float(2, attribute.value)
      break
    case 'int':
      writer.int64(3, attribute.value)
      break
    case 'string':
      writer.string(4, attribute.value)
      break
    case 'tensor':
      writer.message(5, encodeTensor('', attribute.value))
      break
    case 'graph':
      writer.message(6, encodeGraph(attribute.value, new Map()))
      break
    case 'floats':
      writer.packedFloat(7, attribute.value)
      break
    case 'ints':
      writer.packedInt64(8, attribute.value)
      break
    case 'strings':
      for (const value of attribute.value) writer.string(9, value)
  }
  writer.int64(20, ATTRIBUTE_TYPES[attribute.type])
  return writer
}

function encodeValueInfo(info: ValueInfo): WireWriter {
  const writer = new WireWriter()
  writer.string(1, info.name)
  if (info.incomplete === 'type') return writer
  const tensor = new WireWriter()
  tensor.int64(1, DATA_TYPES[info.dtype])
  if (info.incomplete !== 'shape') {
    const shape = new WireWriter()
    for (const dim of info.dims) {
      const entry = new WireWriter()
      if (typeof dim === 'number') entry.int64(1, dim)
      else if (dim !== null) entry.string(2, dim)
      shape.message(1, entry)
    }
    tensor.message(2, shape)
  }
  const type = new WireWriter()
  type.message(1, tensor)
  writer.message(2, type)
  return writer
}
