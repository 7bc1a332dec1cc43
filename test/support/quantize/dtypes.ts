/** Element type of every value of a model, by name: what float16 conversion needs to know where to put its Casts. */
import type { DType, Graph, Node } from '../../../src/graph/ir'
import { DATA_TYPES } from '../../../src/graph/onnx-enums'

const BOOLEAN = /^(Equal|Less|LessOrEqual|Greater|GreaterOrEqual|And|Or|Not|IsNaN|IsInf|Xor)$/
const INTEGER = /^(Shape|Size|NonZero|ArgMax)$/

/** Outputs of a graph's nodes, branches included, from what is known around it. Unknown ops have the type of their first input. */
export function dtypesOf(graph: Graph, outer: ReadonlyMap<string, DType> = new Map()): Map<string, DType> {
  const types = new Map(outer)
  for (const { name, dtype } of graph.inputs) types.set(name, dtype)
  for (const [name, { dtype }] of graph.initializers) types.set(name, dtype)
  for (const node of graph.nodes) {
    const branches = [...node.attributes.values()].flatMap((attribute) => (attribute.type === 'graph' ? [attribute.value] : []))
    const [first] = branches
    if (first) {
      const inside = dtypesOf(first, types)
      for (const [i, output] of node.outputs.entries()) types.set(output, inside.get(first.outputs[i]?.name ?? '') ?? 'float32')
    } else for (const [i, output] of node.outputs.entries()) types.set(output, outputType(node, i, types))
  }
  return types
}

function outputType(node: Node, index: number, types: ReadonlyMap<string, DType>): DType {
  const { op_type } = node
  const of = (i: number): DType => types.get(node.inputs[i] ?? '') ?? 'float32'
  if (BOOLEAN.test(op_type)) return 'bool'
  if (INTEGER.test(op_type)) return 'int64'
  if (op_type === 'Cast') {
    const to = node.attributes.get('to')
    return to?.type === 'int' ? dtypeOf(to.value) : 'float32'
  }
  if (op_type === 'Constant' || op_type === 'ConstantOfShape') {
    for (const { type, value } of node.attributes.values()) {
      if (type === 'tensor') return value.dtype
      if (type === 'int' || type === 'ints') return 'int64'
    }
    return 'float32'
  }
  if (op_type === 'Where' || op_type === 'MatMulInteger') return op_type === 'Where' ? of(1) : 'int32'
  if (op_type === 'DynamicQuantizeLinear') return index === 1 ? 'float32' : 'uint8'
  if (op_type === 'DequantizeLinear') return of(1)
  if (op_type === 'GatherBlockQuantized') return of(2)
  return of(0)
}

function dtypeOf(code: number): DType {
  for (const [dtype, value] of Object.entries(DATA_TYPES)) if (value === code) return dtype as DType
  throw new Error(`no element type ${code}`)
}
