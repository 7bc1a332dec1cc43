import { create, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { readFileSync, readdirSync } from 'node:fs'
import { GraphProtoSchema, ModelProtoSchema, TensorProtoSchema } from 'onnx-buf'
import { describe, expect, it } from 'vitest'
import { GraphError, type Graph, type OnnxModel } from '../../src/graph/ir'
import { readModel } from '../../src/graph/read'
import { toFloat32, toIntegers } from '../../src/graph/tensor'
import { WireWriter } from '../../src/graph/wire'
import { concatBytes, writeModel } from '../../src/graph/write'
import { arbitraryModel } from '../support/arbitrary-model'
import { logitsOf } from '../support/onnxruntime'

const ONNX = 'test/fixtures/onnx'
const FIXTURES = readdirSync(ONNX).filter((name) => name.endsWith('.onnx'))
const fixture = (name: string) => new Uint8Array(readFileSync(`${ONNX}/${name}`))

/** A model file with one initializer, given as plain onnx-buf fields. */
function fileWith(tensor: Parameters<typeof create<typeof TensorProtoSchema>>[1]): Uint8Array {
  const graph = create(GraphProtoSchema, { initializer: [create(TensorProtoSchema, tensor)] })
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n, graph }))
}
const tensorOf = (file: Uint8Array, external?: ReadonlyMap<string, Uint8Array>) => {
  const tensor = readModel(file, external ? { external } : {}).graph.initializers.get('w')
  if (!tensor) throw new Error('no initializer w')
  return tensor
}

describe('writing and reading', () => {
  it('gives back any model', () => {
    fc.assert(
      fc.property(arbitraryModel, (model) => {
        expect(readModel(concatBytes(writeModel(model)))).toEqual(model)
      }),
      { numRuns: 300 },
    )
  })

  it.each(FIXTURES)('%s survives', (name) => {
    const model = readModel(fixture(name))
    expect(readModel(concatBytes(writeModel(model)))).toEqual(model)
  })

  it.each([
    'gpt2_t433_past.onnx',
    'llama_t441_past.onnx',
    'gpt2_t433_decoder_model_merged.onnx',
    'genai_llama_q4_gbq.onnx',
    'gpt2_t433_past_quantized.onnx',
  ])('%s written anew gives the same logits in onnxruntime', async (name) => {
    const ids = [3, 1, 4, 1, 5]
    expect(await logitsOf(concatBytes(writeModel(readModel(fixture(name)))), ids)).toEqual(await logitsOf(fixture(name), ids))
  })

  it('copies no weights', () => {
    const bytes = fixture('gpt2_t433_past.onnx')
    const model = readModel(bytes)
    for (const tensor of model.graph.initializers.values()) expect(tensor.bytes.buffer).toBe(bytes.buffer)
    const chunks = writeModel(model)
    const views = new Set(chunks.map((chunk) => (chunk instanceof Uint8Array ? chunk.byteOffset : NaN)))
    const large = [...model.graph.initializers.values()].filter((tensor) => tensor.bytes.byteLength >= 1024)
    expect(large.length).toBeGreaterThan(5)
    for (const tensor of large) expect(views).toContain(tensor.bytes.byteOffset)
  })
})

describe('tensors', () => {
  it('reads the typed fields of every dtype', () => {
    const numbers = (fields: Parameters<typeof fileWith>[0]) => [...toFloat32(tensorOf(fileWith({ name: 'w', ...fields })))]
    expect(numbers({ dims: [2n], dataType: 1, floatData: [1.5, -2] })).toEqual([1.5, -2])
    expect(numbers({ dims: [2n], dataType: 11, doubleData: [1.5, -2] })).toEqual([1.5, -2])
    expect(numbers({ dims: [2n], dataType: 10, int32Data: [0x3c00, 0xc000] })).toEqual([1, -2])
    expect(numbers({ dims: [1n], dataType: 16, int32Data: [0xc020] })).toEqual([-2.5])
    for (const dataType of [3, 5, 6]) expect(numbers({ dims: [3n], dataType, int32Data: [-5, 0, 7] })).toEqual([-5, 0, 7])
    for (const dataType of [2, 4]) expect(numbers({ dims: [2n], dataType, int32Data: [200, 7] })).toEqual([200, 7])
    expect(numbers({ dims: [2n], dataType: 9, int32Data: [1, 0] })).toEqual([1, 0])
    expect(numbers({ dims: [3n], dataType: 22, int32Data: [0xf1, 0x08] })).toEqual([1, -1, -8])
    expect(numbers({ dims: [2n], dataType: 7, int64Data: [-5n, 7n] })).toEqual([-5, 7])
    for (const dataType of [12, 13])
      expect(numbers({ dims: [2n], dataType, uint64Data: [4294967295n, 7n] })).toEqual([4294967296, 7])
    expect(numbers({ dims: [0n, 9n], dataType: 1 })).toEqual([])
  })

  it('reads values that are not packed', () => {
    const tensor = new WireWriter()
    for (const dim of [1, 2]) tensor.int64(1, dim)
    tensor.int64(2, 6)
    tensor.int64(5, -3)
    tensor.int64(5, 9)
    tensor.string(8, 'w')
    const graph = new WireWriter()
    graph.message(5, tensor)
    const model = new WireWriter()
    model.message(7, graph)
    const read = tensorOf(concatBytes(model.chunks()))
    expect([read.dims, toIntegers(read)]).toEqual([
      [1, 2],
      [-3, 9],
    ])
  })

  it('reads external data, within its bounds', () => {
    const external = (entries: Record<string, string>) =>
      fileWith({
        name: 'w',
        dims: [2n],
        dataType: 1,
        dataLocation: 1,
        externalData: Object.entries(entries).map(([key, value]) => ({
          $typeName: 'onnx.StringStringEntryProto' as const,
          key,
          value,
        })),
      })
    const data = new Uint8Array(Float32Array.of(0, 1.5, -2).buffer)
    const files = new Map([['m.onnx_data', data]])
    const read = tensorOf(external({ location: 'm.onnx_data', offset: '4', length: '8' }), files)
    expect([[...toFloat32(read)], read.bytes.buffer]).toEqual([[1.5, -2], data.buffer])
    expect([...toFloat32(tensorOf(external({ location: './m.onnx_data' }), files))]).toEqual([0, 1.5])
    const refuse = (entries: Record<string, string>, message: string) =>
      expect(() => tensorOf(external(entries), files)).toThrow(message)
    refuse({ location: 'other' }, 'keeps its data in "other", which was not given')
    refuse({ location: 'm.onnx_data', offset: '8' }, 'bytes 8 to 16 of "m.onnx_data", which has 12')
    refuse({ location: 'm.onnx_data', offset: '-4' }, 'external offset "-4"')
    refuse({ location: 'm.onnx_data', length: '4' }, 'takes 8 bytes, but its external length is 4')
    refuse({}, 'names no location')
  })

  it('takes no size on trust', () => {
    const refuse = (fields: Parameters<typeof fileWith>[0], message: string) =>
      expect(() => readModel(fileWith({ name: 'w', ...fields }))).toThrow(message)
    refuse({ dims: [3n], dataType: 1, rawData: new Uint8Array(8) }, 'model.graph.initializer[0], byte')
    refuse({ dims: [3n], dataType: 1, rawData: new Uint8Array(8) }, 'tensor "w", float32[3], takes 12 bytes, but raw_data has 8')
    refuse({ dims: [-1n], dataType: 1, rawData: new Uint8Array(8) }, 'dimension -1')
    refuse({ dims: [2n ** 40n, 2n ** 40n], dataType: 1 }, 'too many elements')
    refuse({ dims: [2n ** 62n], dataType: 1 }, 'dimension 4611686018427388000')
    refuse({ dims: [2n ** 45n], dataType: 1, floatData: [1] }, 'should hold 35184372088832 values, the file has fewer')
    refuse({ dims: [2n], dataType: 7, int64Data: [1n, 2n, 3n] }, 'holds more than the 2 values')
    refuse({ dims: [2n], dataType: 6, int32Data: [1] }, 'should hold 2 values, but has 1')
    refuse({ dims: [1n], dataType: 14, floatData: [1, 2] }, 'data type 14')
    refuse({ dims: Array.from({ length: 40 }, () => 1n), dataType: 1 }, 'more than 32 dimensions')
  })
})

describe('hostile files', () => {
  const refuse = (bytes: ArrayLike<number>, message: string) => expect(() => readModel(Uint8Array.from(bytes))).toThrow(message)

  it('names what is wrong and where', () => {
    refuse([], 'model, byte 0: no graph')
    refuse([0x3b], 'wire type 3')
    refuse([0x0b, 0x0c], 'wire type 3')
    refuse([0x3a, 0x05, 0x0a], '5 bytes are announced, 1 are left')
    refuse([0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], 'are announced')
    refuse([0x08, ...Array.from({ length: 11 }, () => 0x80)], 'a varint longer than 10 bytes')
    refuse([0x08, 0x80], 'a varint that does not end')
    refuse([0x00], 'field number 0')
    refuse([0x3a, 0x02, 0x0a, 0x00], 'model.graph.node[0], byte 4: a node without op_type')
    refuse([0x3a, 0x00, 0x3a, 0x00], 'model, byte 2: a second graph')
    refuse([0x3a, 0x03, 0x12, 0x01, 0xff], 'text that is not UTF-8')
  })

  it('refuses duplicates', () => {
    const tensor = create(TensorProtoSchema, { name: 'w', dataType: 1, dims: [0n] })
    const graph = create(GraphProtoSchema, { initializer: [tensor, tensor] })
    const file = toBinary(ModelProtoSchema, create(ModelProtoSchema, { graph }))
    expect(() => readModel(file)).toThrow('a second initializer "w"')
  })

  it('stops at a nesting no real file has', () => {
    let graph: Graph = { name: '', nodes: [], inputs: [], outputs: [], initializers: new Map() }
    for (let i = 0; i < 60; i++) {
      const attributes = new Map([['body', { type: 'graph' as const, value: graph }]])
      graph = { ...graph, nodes: [{ op_type: 'Loop', domain: '', name: '', inputs: [], outputs: [], attributes }] }
    }
    const model: OnnxModel = { ir_version: 8, producer_name: '', opsets: new Map(), graph }
    expect(() => readModel(concatBytes(writeModel(model)))).toThrow('messages nested deeper than 100')
  })

  /** Reads; anything but a model or a GraphError fails the test. */
  const survive = (bytes: Uint8Array) => {
    try {
      readModel(bytes)
    } catch (error) {
      if (!(error instanceof GraphError)) throw error
      expect(error.message).toMatch(/^model.*byte \d+: /s)
    }
  }

  it('gives a model or a GraphError for truncated, damaged and random files, quickly', () => {
    const files = ['gpt2_t433_past_quantized.onnx', 'gpt2_t433_decoder_model_merged.onnx', 'genai_llama_q4_gbq.onnx'].map(fixture)
    const start = performance.now()
    fc.assert(
      fc.property(fc.constantFrom(...files), fc.double({ min: 0, max: 1, noNaN: true }), (file, part) =>
        survive(file.subarray(0, Math.floor(file.length * part))),
      ),
      { numRuns: 200 },
    )
    fc.assert(
      fc.property(
        fc.constantFrom(...files),
        fc.array(fc.tuple(fc.double({ min: 0, max: 0.999999, noNaN: true }), fc.nat(7)), { minLength: 1, maxLength: 20 }),
        (file, flips) => {
          const damaged = file.slice()
          for (const [part, bit] of flips) {
            const at = Math.floor(file.length * part)
            damaged[at] = (damaged[at] ?? 0) ^ (1 << bit)
          }
          survive(damaged)
        },
      ),
      { numRuns: 500 },
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), survive), { numRuns: 3000 })
    // Most fields of a small valid file matter, so flips there reach deeper than in one that is mostly weights.
    fc.assert(
      fc.property(arbitraryModel, fc.nat(), fc.nat(255), (model, at, value) => {
        const bytes = concatBytes(writeModel(model))
        bytes[at % bytes.length] = value
        survive(bytes)
      }),
      { numRuns: 500 },
    )
    expect(performance.now() - start).toBeLessThan(30_000)
  })
})
