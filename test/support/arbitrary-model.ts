/** fast-check generators of ONNX models: anything the IR can say, subgraphs included, not only what makes sense. */
import fc from 'fast-check'
import {
  BYTES_PER_ELEMENT,
  elementCount,
  type Attribute,
  type DType,
  type Graph,
  type LocalFunction,
  type Node,
  type OnnxModel,
  type Tensor,
} from '../../src/graph/ir'

const NUMERIC: Exclude<DType, 'string'>[] = [
  'float32',
  'float16',
  'bfloat16',
  'float64',
  'int64',
  'int32',
  'int16',
  'int8',
  'uint64',
  'uint32',
  'uint16',
  'uint8',
  'int4',
  'uint4',
  'bool',
]

const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 })
const int64 = fc.oneof(fc.maxSafeInteger(), fc.constantFrom(2 ** 63, -(2 ** 63), -1, 0))

const tensor: fc.Arbitrary<Tensor> = fc
  .tuple(fc.constantFrom(...NUMERIC), fc.array(fc.nat(5), { maxLength: 4 }))
  .chain(([dtype, dims]) => {
    const size = Math.ceil(elementCount(dims) * BYTES_PER_ELEMENT[dtype])
    return fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => ({ dtype, dims, bytes }))
  })

const valueInfo = fc.record({
  name,
  dtype: fc.constantFrom<DType>(...NUMERIC),
  dims: fc.array(fc.oneof(fc.nat(), name, fc.constant(null)), { maxLength: 4 }),
})

const { graph, node, attribute } = fc.letrec<{ attribute: Attribute; node: Node; graph: Graph }>((tie) => ({
  attribute: fc.oneof(
    { depthSize: 'small' },
    fc.record({ type: fc.constant('float' as const), value: fc.float({ noNaN: true }) }),
    fc.record({ type: fc.constant('int' as const), value: int64 }),
    fc.record({ type: fc.constant('string' as const), value: fc.string({ unit: 'binary' }) }),
    fc.record({ type: fc.constant('tensor' as const), value: tensor }),
    fc.record({ type: fc.constant('floats' as const), value: fc.array(fc.float({ noNaN: true })) }),
    fc.record({ type: fc.constant('ints' as const), value: fc.array(int64) }),
    fc.record({ type: fc.constant('strings' as const), value: fc.array(fc.string()) }),
    fc.record({ type: fc.constant('graph' as const), value: tie('graph') }),
  ),
  node: fc.record({
    op_type: name,
    domain: fc.constantFrom('', 'com.microsoft'),
    name: fc.string(),
    inputs: fc.array(fc.string({ maxLength: 8 }), { maxLength: 4 }),
    outputs: fc.array(fc.string({ maxLength: 8 }), { maxLength: 3 }),
    attributes: fc
      .dictionary(name, tie('attribute'), { maxKeys: 3, noNullPrototype: true })
      .map((entries) => new Map(Object.entries(entries))),
  }),
  graph: fc
    .record({
      name: fc.string(),
      nodes: fc.array(tie('node'), { maxLength: 4 }),
      inputs: fc.array(valueInfo, { maxLength: 3 }),
      outputs: fc.array(valueInfo, { maxLength: 3 }),
      initializers: fc.array(fc.tuple(name, tensor), { maxLength: 4 }).map((entries) => new Map(entries)),
    })
    // The reader takes initializers out of the inputs.
    .map((made) => ({ ...made, inputs: made.inputs.filter((input) => !made.initializers.has(input.name)) })),
}))

const opsets = fc
  .array(fc.tuple(fc.constantFrom('', 'com.microsoft', 'x'), fc.nat(30)), { maxLength: 3 })
  .map((entries) => new Map(entries))

/** A node of a function's body, which may take attributes from the call. */
const bodyNode = fc
  .tuple(node, fc.dictionary(name, name, { maxKeys: 2, noNullPrototype: true }), fc.option(name, { nil: undefined }))
  .map(([made, entries, overload]): Node => {
    const references = new Map(Object.entries(entries).filter(([key]) => !made.attributes.has(key)))
    return { ...made, ...(references.size > 0 && { references }), ...(overload !== undefined && { overload }) }
  })

const localFunction: fc.Arbitrary<LocalFunction> = fc.record({
  domain: fc.constantFrom('', 'com.microsoft', 'local'),
  name,
  overload: fc.string({ maxLength: 3 }),
  inputs: fc.array(fc.string({ maxLength: 8 }), { maxLength: 4 }),
  outputs: fc.array(fc.string({ maxLength: 8 }), { maxLength: 3 }),
  nodes: fc.array(bodyNode, { maxLength: 3 }),
  defaults: fc
    .dictionary(name, attribute, { maxKeys: 2, noNullPrototype: true })
    .map((entries) => new Map(Object.entries(entries))),
  opsets,
})

export const arbitraryModel: fc.Arbitrary<OnnxModel> = fc
  .record({
    ir_version: fc.integer({ min: 4, max: 12 }),
    producer_name: fc.string(),
    opsets,
    graph,
    functions: fc.array(localFunction, { maxLength: 2 }),
  })
  .map(({ functions, ...model }) => (functions.length === 0 ? model : { ...model, functions }))
