/**
 * ONNX files at their edges: cut off at any byte, of operator sets that are none, with training information, with external data that points
 * anywhere. Each ends in a GraphError that says what is wrong. Made to hurt: hostile-models.test.ts; damaged at random: fuzz.test.ts.
 */
import { create, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  TensorProtoSchema,
  TrainingInfoProtoSchema,
  type GraphProto,
} from 'onnx-buf'
import { describe, expect, it } from 'vitest'
import { cutModel } from '../../src/graph/cut'
import { GraphError, type Graph, type OnnxModel } from '../../src/graph/ir'
import { readModel } from '../../src/graph/read'
import { readChunk } from '../../src/graph/source'
import { toFloat32 } from '../../src/graph/tensor'
import { WireReader, WireWriter } from '../../src/graph/wire'
import { concatBytes, writeModel } from '../../src/graph/write'
import { fuzzFixtures } from '../support/fuzz/property'
import { survive } from '../support/fuzz/survive'
import { CountingSource } from '../support/sliced-source'
import { bools, floats, ints, model, node, tensor } from '../support/onnx'

/** A model that can be tuned and has a bit of everything: a subgraph, attributes of several types, constants of several dtypes. */
function small(): OnnxModel {
  const branch = (op: string): Graph => ({
    name: op,
    nodes: [node(op, ['rows'], [`${op}_y`])],
    inputs: [],
    initializers: new Map(),
    outputs: [{ name: `${op}_y`, dtype: 'float32', dims: [] }],
  })
  return model({
    nodes: [
      node('Gather', ['table', 'input_ids'], ['rows'], { axis: 0 }),
      node('If', ['cond'], ['either'], { then_branch: branch('Neg'), else_branch: branch('Abs') }),
      node('Constant', [], ['half'], { value: tensor(floats([], [0.5])) }),
      node('Mul', ['either', 'half'], ['halved']),
      node('Transpose', ['halved'], ['turned'], { perm: [0, 2, 1] }),
      node('Transpose', ['turned'], ['back'], { perm: [0, 2, 1] }),
      node('LeakyRelu', ['back'], ['x'], { alpha: { float: 0.25 } }),
      node('MatMul', ['x', 'head'], ['logits']),
    ],
    inputs: { input_ids: ints([1, 2], [0, 1]) },
    initializers: {
      table: tensor(floats([6, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])),
      head: tensor(floats([2, 6], new Array<number>(12).fill(0.5))),
      cond: tensor(bools([], [1])),
    },
    outputs: { logits: { dtype: 'float32', dims: [1, 2, 6] } },
  })
}

const bytesOf = (made: OnnxModel): Uint8Array => concatBytes(writeModel(made))

/** The graph of a model file, as it lies there. */
function graphOf(file: Uint8Array): Uint8Array {
  const reader = WireReader.over(file, 'model')
  while (reader.next()) {
    if (reader.field === 7) return readChunk(reader.slice())
    reader.skip()
  }
  throw new Error('no graph')
}

function refusal(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    expect(error).toBeInstanceOf(GraphError)
    return error instanceof GraphError ? error.message : ''
  }
  throw new Error('it was taken')
}

/** What a file that runs nevertheless has lost: operator sets of other domains, which say nothing of ops that have one version. */
function lacksAnOpsetOnly(whole: Uint8Array, end: number): void {
  expect(whole[end], `cut at ${end} of ${whole.length}`).toBe((8 << 3) | 2)
  const [before, after] = [readModel(whole.subarray(0, end)), readModel(whole)]
  expect({ ...before, opsets: null }).toEqual({ ...after, opsets: null })
  expect(before.opsets.get('')).toBe(after.opsets.get(''))
}

describe('a file that ends too early', () => {
  it('at any byte: refused by name, from memory and by slices with the same words', () => {
    const whole = bytesOf(small())
    expect(survive([whole]).outcome).toBe('runs')
    const words = new Set<string>()
    for (let end = 0; end < whole.length; end++) {
      const part = whole.subarray(0, end)
      const { outcome, message } = survive([part])
      if (outcome === 'runs') {
        lacksAnOpsetOnly(whole, end)
        continue
      }
      expect(message).not.toBe('')
      expect(refusal(() => cutModel(readModel(new CountingSource(part))))).toBe(message)
      words.add(message.replace(/\d+/g, 'N'))
    }
    for (const text of ['no graph', 'a varint that does not end', 'bytes are announced', 'which version of ONNX'])
      expect(
        [...words].filter((said) => said.includes(text)),
        text,
      ).not.toEqual([])
  })

  it('with a graph that ends too early inside a file that does not: refused by name', () => {
    const graph = graphOf(bytesOf(small()))
    const words = new Set<string>()
    for (let end = 0; end < graph.length; end++) {
      const file = create(ModelProtoSchema, { opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: 17n })] })
      const framed = new WireWriter()
      framed.bytes(7, graph.subarray(0, end))
      const { outcome, message } = survive([concatBytes([...framed.chunks(), toBinary(ModelProtoSchema, file)])])
      expect([end, outcome]).not.toEqual([end, 'runs'])
      words.add(message.replace(/\d+/g, 'N').replace(/model\S*/, ''))
    }
    expect(words.size).toBeGreaterThan(2)
  })

  it.each(fuzzFixtures())('$name: at every 4,001st byte, and at each of the last 48', { timeout: 120_000 }, ({ files }) => {
    files.forEach((whole, which) => {
      const ends = [...Array.from({ length: Math.ceil(whole.length / 4001) }, (_, i) => i * 4001), ...Array.from({ length: 48 }, (_, i) => whole.length - 1 - i)] // prettier-ignore
      for (const end of ends) {
        const { outcome, message } = survive(files.map((file, i) => (i === which ? file.subarray(0, end) : file)))
        if (outcome === 'runs') lacksAnOpsetOnly(whole, end)
        else expect(message).toMatch(/^(model.*byte \d+: |this model can't be read: )/s)
      }
    })
  })
})

describe('operator sets', () => {
  const withOpsets = (...opsets: readonly (readonly [string, number])[]): Uint8Array => {
    const bare = bytesOf({ ...small(), opsets: new Map() })
    const imports = create(ModelProtoSchema, {
      opsetImport: opsets.map(([domain, version]) => create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) })),
    })
    return concatBytes([bare, toBinary(ModelProtoSchema, imports)])
  }

  it.each<[string, readonly (readonly [string, number])[], RegExp]>([
    ['none', [], /does not say which version of ONNX's operator set it uses \(opset_import\)/],
    ['none of its own', [['com.microsoft', 1]], /does not say which version/],
    ['0', [['', 0]], /version 0 of the operator set of domain '', and there is none/],
    ['negative', [['', -13]], /version -13 of/],
    ['huge', [['', 2 ** 62]], /version 4611686018427388000 of/],
    ['beyond any', [['', 1001]], /version 1001 of/],
    [
      'a domain at 0',
      [
        ['', 17],
        ['com.microsoft', 0],
      ],
      /version 0 of the operator set of domain 'com\.microsoft'/,
    ],
    ['from when broadcasting was an attribute', [['', 6]], /operator set, version 6, is older than 7/],
    [
      'two of one domain',
      [
        ['', 17],
        ['', 18],
      ],
      /model, byte \d+: operator set "" at both 17 and 18/,
    ],
    [
      'two of one domain by its other name',
      [
        ['', 17],
        ['ai.onnx', 11],
      ],
      /operator set "" at both 17 and 11/,
    ],
  ])('%s', (_, opsets, message) => {
    // prettier-ignore
    const { outcome, message: said } = survive([withOpsets(...opsets)])
    expect(outcome).toMatch(/^refused by the (reader|cut)$/)
    expect(said).toMatch(message)
  })

  it.each([7, 11, 17, 23, 26])('version %i, also said twice or by its full name: read', (version) => {
    expect(cutModel(readModel(withOpsets(['', version], ['ai.onnx', version]))).vocab_size).toBe(6)
  })

  it('any at all: a Program or a GraphError', () => {
    const domain = fc.constantFrom('', 'ai.onnx', 'com.microsoft', 'ai.onnx.ml', 'x\0y')
    const version = fc.oneof(fc.integer({ min: -2, max: 30 }), fc.maxSafeInteger())
    fc.assert(
      fc.property(fc.array(fc.tuple(domain, version), { maxLength: 4 }), (opsets) => void survive([withOpsets(...opsets)])),
    )
  })
})

describe('training information', () => {
  const training = (graph: GraphProto): Uint8Array =>
    toBinary(
      ModelProtoSchema,
      create(ModelProtoSchema, {
        trainingInfo: [
          create(TrainingInfoProtoSchema, {
            initialization: create(GraphProtoSchema, { name: 'init' }),
            algorithm: graph,
            updateBinding: [create(StringStringEntryProtoSchema, { key: 'head', value: 'head_new' })],
          }),
        ],
      }),
    )
  const gradient = create(NodeProtoSchema, { opType: 'Gradient', domain: 'ai.onnx.preview.training', output: ['g'] })
  const step = training(create(GraphProtoSchema, { node: [gradient] }))

  it('is passed over, before and behind the graph, and is no graph', () => {
    const plain = bytesOf(small())
    for (const file of [concatBytes([plain, step]), concatBytes([step, plain]), concatBytes([step, plain, step])]) {
      expect(readModel(file)).toEqual(readModel(plain))
      expect(survive([file]).outcome).toBe('runs')
    }
    expect(refusal(() => readModel(step))).toContain('no graph: this is not an ONNX model')
  })

  it('is not looked into: what is broken or huge in there breaks nothing and costs nothing', () => {
    const plain = bytesOf(small())
    const huge = create(TensorProtoSchema, { name: 'w', dims: [-5n, 2n ** 62n], dataType: 99 })
    const weights = training(create(GraphProtoSchema, { initializer: [huge] }))
    expect(readModel(concatBytes([plain, weights]))).toEqual(readModel(plain))
    const longer = step.slice(0, -1)
    expect(refusal(() => readModel(concatBytes([plain, longer])))).toMatch(/^model, byte \d+: \d+ bytes are announced/)
  })
})

describe('external data', () => {
  const DATA = new Uint8Array(Float32Array.of(0, 1.5, -2).buffer)
  const files = new Map([['m.onnx_data', DATA]])
  const read = (entries: Readonly<Record<string, string>>, external: ReadonlyMap<string, Uint8Array> = files) => {
    const w = create(TensorProtoSchema, {
      name: 'w',
      dims: [2n],
      dataType: 1,
      dataLocation: 1,
      externalData: Object.entries(entries).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
    })
    const graph = create(GraphProtoSchema, { initializer: [w] })
    const file = toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n, graph }))
    return readModel(file, { external }).graph.initializers.get('w')
  }

  it.each([
    '../m.onnx_data',
    'a/../m.onnx_data',
    '..\\m.onnx_data',
    '/etc/passwd',
    'C:\\m.onnx_data',
    'file:///etc/passwd',
    'http://x/y',
    '',
    '.',
    '..',
    '././m.onnx_data',
    'm.onnx_data\0',
    'M.ONNX_DATA',
  ])(
    // prettier-ignore
    'is never looked for elsewhere: %j',
    (location) => expect(refusal(() => read({ location }))).toMatch(/tensor "w" keeps its data in ".*", which was not given/),
  )

  const NO_NUMBERS = ['NaN', '-1', '-0', '1e3', '0x10', '4.0', ' 4', '4 ', '+4', '', 'Infinity', '9007199254740993', '18446744073709551616', '٤'] // prettier-ignore
  it.each(NO_NUMBERS)('an offset or length of %j is none', (text) => {
    const location = 'm.onnx_data'
    expect(refusal(() => read({ location, offset: text }))).toContain(`external offset "${text}"`)
    expect(refusal(() => read({ location, length: text }))).toContain(`external length "${text}"`)
  })

  it('beyond the end, also by sums that no number holds', () => {
    const location = 'm.onnx_data'
    for (const offset of ['5', '12', '13', '4294967296', '9007199254740991']) {
      expect(refusal(() => read({ location, offset }))).toMatch(/bytes \d+ to \d+ of "m\.onnx_data", which has 12/)
    }
    for (const length of ['0', '7', '9', '9007199254740991'])
      expect(refusal(() => read({ location, length }))).toContain(`takes 8 bytes, but its external length is ${length}`)
    expect(refusal(() => read({ location }, new Map([['m.onnx_data', new Uint8Array(0)]])))).toContain('which has 0')
    expect([...toFloat32(read({ location, offset: '04', length: '8' }) ?? tensor(floats([], [0])))]).toEqual([1.5, -2])
  })

  it('any entries at all: a tensor of its bytes, or a GraphError', () => {
    const number = fc.oneof(fc.constantFrom(...NO_NUMBERS), fc.maxSafeInteger().map(String), fc.nat(13).map(String), fc.string())
    const location = fc.oneof(fc.constant('m.onnx_data'), fc.string({ unit: 'binary' }))
    fc.assert(
      fc.property(
        fc.record({ location, offset: number, length: number, checksum: fc.string() }, { requiredKeys: [] }),
        (entries) => {
          let found
          try {
            found = read(entries)
          } catch (error) {
            if (!(error instanceof GraphError)) throw error
            expect(error.message).not.toMatch(/\p{Cc}/u)
            return
          }
          const offset = Number(entries.offset ?? 0)
          expect(found && [...found.bytes]).toEqual([...DATA.subarray(offset, offset + 8)])
        },
      ),
      { numRuns: 500 },
    )
  })
})
