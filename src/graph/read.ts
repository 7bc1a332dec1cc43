/**
 * An ONNX file's bytes to its graph. No weight is copied: they are views into a file in memory, and stay in any other file unread.
 *
 * Field numbers: https://github.com/onnx/onnx/blob/v1.18.0/onnx/onnx.proto3. It checks that the file is well formed
 * (sizes, names, nesting), not that its ops make sense; what it has no use for (value_info, doc strings, metadata) is
 * passed over.
 */
import type { Attribute, DType, Graph, LocalFunction, Node, OnnxModel, Tensor, ValueInfo } from './ir'
import { attributeTypeOf, dtypeOf } from './onnx-enums'
import { readTensor, type ExternalData } from './read-tensor'
import type { ByteSource } from './source'
import { FIXED32, VARINT, WireReader } from './wire'

export interface ReadOptions {
  /** External data files by the name the model calls them ("model.onnx_data"). */
  readonly external?: ReadonlyMap<string, Uint8Array | ByteSource>
  /** Leave external tensors without bytes instead: enough for edits that only need names and shapes. */
  readonly skipExternal?: boolean
}

const NONE: readonly string[] = []
const NO_ATTRIBUTES: ReadonlyMap<string, Attribute> = new Map()

/**
 * Reads a model. Initializers that older files also list among the graph inputs are left out of `inputs`.
 * @throws GraphError for anything malformed or beyond the IR, with the field's path and its byte offset
 */
export function readModel(file: Uint8Array | ByteSource, options: ReadOptions = {}): OnnxModel {
  const external: ExternalData = options.skipExternal ? 'skip' : (options.external ?? new Map())
  const reader = WireReader.over(file, 'model')
  let ir_version = 0
  let producer_name = ''
  let graph: Graph | null = null
  const opsets = new Map<string, number>()
  const functions: LocalFunction[] = []
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        ir_version = reader.int64()
        break
      case 2:
        producer_name = reader.string()
        break
      case 7:
        if (graph) throw reader.error('a second graph')
        graph = readGraph(reader.message('graph'), external)
        break
      case 8:
        readOpset(reader, opsets)
        break
      case 25:
        functions.push(readFunction(reader.message('function', functions.length), external))
        break
      default:
        reader.skip()
    }
  }
  if (!graph) throw reader.error('no graph: this is not an ONNX model')
  if (refersOutside(graph)) throw reader.error("a node of the graph takes an attribute from a function's call")
  const model = { ir_version, producer_name, opsets, graph }
  return functions.length === 0 ? model : { ...model, functions }
}

/** Whether a node that is in no function takes an attribute from a call. */
function refersOutside({ nodes }: Graph): boolean {
  return nodes.some(
    ({ references, attributes }) =>
      references !== undefined || [...attributes.values()].some((value) => value.type === 'graph' && refersOutside(value.value)),
  )
}

function readFunction(reader: WireReader, external: ExternalData): LocalFunction {
  let [domain, name, overload] = ['', '', '']
  const inputs: string[] = []
  const outputs: string[] = []
  const nodes: Node[] = []
  const defaults = new Map<string, Attribute>()
  const opsets = new Map<string, number>()
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        name = reader.string()
        break
      case 4:
        inputs.push(reader.string())
        break
      case 5:
        outputs.push(reader.string())
        break
      case 7:
        nodes.push(readNode(reader.message('node', nodes.length), external))
        break
      case 9:
        readOpset(reader, opsets)
        break
      case 10:
        domain = plainDomain(reader.string())
        break
      case 11: {
        const { name: key, value } = readAttribute(reader.message('attribute_proto', defaults.size), external)
        if (value) defaults.set(key, value)
        break
      }
      case 13:
        overload = reader.string()
        break
      default:
        reader.skip()
    }
  }
  if (name === '') throw reader.error('a function without a name')
  return { domain, name, overload, inputs, outputs, nodes, defaults, opsets }
}

/** Adds the opset_import the reader stands before. What a version means, and whether there is such a one, is not looked at. */
function readOpset(reader: WireReader, opsets: Map<string, number>): void {
  const entry = reader.message('opset_import', opsets.size)
  let domain = ''
  let version = 0
  while (entry.next()) {
    if (entry.field === 1) domain = plainDomain(entry.string())
    else if (entry.field === 2) version = entry.int64()
    else entry.skip()
  }
  const known = opsets.get(domain)
  if (known !== undefined && known !== version) throw reader.error(`operator set "${domain}" at both ${known} and ${version}`)
  opsets.set(domain, version)
}

function plainDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain
}

function readGraph(reader: WireReader, external: ExternalData): Graph {
  let name = ''
  const nodes: Node[] = []
  const inputs: ValueInfo[] = []
  const outputs: ValueInfo[] = []
  const initializers = new Map<string, Tensor>()
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        nodes.push(readNode(reader.message('node', nodes.length), external))
        break
      case 2:
        name = reader.string()
        break
      case 5: {
        const read = readTensor(reader.message('initializer', initializers.size), external)
        if (read.name === '') throw reader.error('an initializer without a name')
        if (initializers.has(read.name)) throw reader.error(`a second initializer "${read.name}"`)
        initializers.set(read.name, read.tensor)
        break
      }
      case 11:
        inputs.push(readValueInfo(reader.message('input', inputs.length)))
        break
      case 12:
        outputs.push(readValueInfo(reader.message('output', outputs.length)))
        break
      case 15:
        throw reader.error('sparse initializers are not supported')
      default:
        reader.skip()
    }
  }
  return { name, nodes, inputs: inputs.filter((input) => !initializers.has(input.name)), outputs, initializers }
}

function readNode(reader: WireReader, external: ExternalData): Node {
  const inputs: string[] = []
  const outputs: string[] = []
  const attributes = new Map<string, Attribute>()
  let name = ''
  let op_type = ''
  let domain = ''
  let overload = ''
  const references = new Map<string, string>()
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        inputs.push(reader.string())
        break
      case 2:
        outputs.push(reader.string())
        break
      case 3:
        name = reader.string()
        break
      case 4:
        op_type = reader.string()
        break
      case 5: {
        const index = attributes.size + references.size
        const { name: key, value, reference } = readAttribute(reader.message('attribute', index), external)
        if (attributes.has(key) || references.has(key)) throw reader.error(`a second attribute "${key}"`)
        if (value) attributes.set(key, value)
        else references.set(key, reference)
        break
      }
      case 7:
        domain = plainDomain(reader.string())
        break
      case 8:
        overload = reader.string()
        break
      default:
        reader.skip()
    }
  }
  if (op_type === '') throw reader.error('a node without op_type')
  return {
    op_type,
    domain,
    name,
    inputs: inputs.length === 0 ? NONE : inputs,
    outputs: outputs.length === 0 ? NONE : outputs,
    attributes: attributes.size === 0 ? NO_ATTRIBUTES : attributes,
    ...(overload !== '' && { overload }),
    ...(references.size > 0 && { references }),
  }
}

/** A value, or (null) the name of the attribute of the enclosing function whose value it has. */
type ReadAttribute =
  | { readonly name: string; readonly value: Attribute; readonly reference: '' }
  | { readonly name: string; readonly value: null; readonly reference: string }

function readAttribute(reader: WireReader, external: ExternalData): ReadAttribute {
  let name = ''
  let referred = ''
  let declared = 0
  let inferred: Attribute['type'] | undefined
  let float = 0
  let int = 0
  let string = ''
  let tensor: Tensor | undefined
  let graph: Graph | undefined
  const floats: number[] = []
  const ints: number[] = []
  const strings: string[] = []
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        name = reader.string()
        break
      case 2:
        float = reader.float()
        inferred = 'float'
        break
      case 3:
        int = reader.int64()
        inferred = 'int'
        break
      case 4:
        string = reader.string()
        inferred = 'string'
        break
      case 5:
        tensor = readTensor(reader.message('t'), external).tensor
        inferred = 'tensor'
        break
      case 6:
        graph = readGraph(reader.message('g'), external)
        inferred = 'graph'
        break
      case 7:
        reader.repeated(FIXED32, (values) => floats.push(values.float()))
        inferred = 'floats'
        break
      case 8:
        reader.repeated(VARINT, (values) => ints.push(values.int64()))
        inferred = 'ints'
        break
      case 9:
        strings.push(reader.string())
        inferred = 'strings'
        break
      case 20:
        declared = reader.int64()
        break
      case 21:
        referred = reader.string()
        break
      default:
        reader.skip()
    }
  }
  if (name === '') throw reader.error('an attribute without a name')
  if (referred !== '') return { name, value: null, reference: referred }
  const holding = (value: Attribute): ReadAttribute => ({ name, value, reference: '' })
  // Files older than IR version 2 give no type: the field that is set says it.
  const type = declared === 0 ? inferred : attributeTypeOf(declared)
  switch (type) {
    case undefined:
      throw reader.error(`attribute "${name}" has type ${declared}, which is not supported`)
    case 'float':
      return holding({ type, value: float })
    case 'int':
      return holding({ type, value: int })
    case 'string':
      return holding({ type, value: string })
    case 'tensor':
      if (!tensor) throw reader.error(`attribute "${name}" holds no tensor`)
      return holding({ type, value: tensor })
    case 'graph':
      if (!graph) throw reader.error(`attribute "${name}" holds no graph`)
      return holding({ type, value: graph })
    case 'floats':
      return holding({ type, value: floats })
    case 'ints':
      return holding({ type, value: ints })
    case 'strings':
      return holding({ type, value: strings })
  }
}

function readValueInfo(reader: WireReader): ValueInfo {
  let name = ''
  let type: Omit<ValueInfo, 'name'> = { dtype: 'float32', dims: [], incomplete: 'type' }
  while (reader.next()) {
    if (reader.field === 1) name = reader.string()
    else if (reader.field === 2) type = readType(reader.message('type'))
    else reader.skip()
  }
  if (name === '') throw reader.error('a value without a name')
  return { name, ...type }
}

function readType(reader: WireReader): Omit<ValueInfo, 'name'> {
  let type: Omit<ValueInfo, 'name'> = { dtype: 'float32', dims: [], incomplete: 'type' }
  while (reader.next()) {
    if (reader.field === 1) type = readTensorType(reader.message('tensor_type'))
    else if (reader.field === 6) reader.skip()
    else throw reader.error('only tensors can be inputs and outputs (this is a sequence, map, optional or sparse tensor)')
  }
  return type
}

function readTensorType(reader: WireReader): Omit<ValueInfo, 'name'> {
  let elem_type = 0
  let dims: ValueInfo['dims'] | null = null
  while (reader.next()) {
    if (reader.field === 1) elem_type = reader.int64()
    else if (reader.field === 2) dims = readShape(reader.message('shape'))
    else reader.skip()
  }
  if (elem_type === 0) return { dtype: 'float32', dims: [], incomplete: 'type' }
  const dtype: DType | undefined = dtypeOf(elem_type)
  if (!dtype) throw reader.error(`data type ${elem_type} is not supported`)
  return dims ? { dtype, dims } : { dtype, dims: [], incomplete: 'shape' }
}

function readShape(reader: WireReader): ValueInfo['dims'] {
  const dims: (number | string | null)[] = []
  while (reader.next()) {
    if (reader.field !== 1) {
      reader.skip()
      continue
    }
    const entry = reader.message('dim', dims.length)
    let dim: number | string | null = null
    while (entry.next()) {
      if (entry.field === 1) {
        const value = entry.int64()
        // -1 is how some exporters write "unknown".
        dim = value < 0 ? null : value
      } else if (entry.field === 2) {
        const symbol = entry.string()
        dim = symbol === '' ? null : symbol
      } else entry.skip()
    }
    dims.push(dim)
  }
  return dims
}
