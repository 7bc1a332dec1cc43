/** ONNX graphs written in a few lines, and onnxruntime (wasm, one thread) to run them. */
import * as ort from 'onnxruntime-web/webgpu'
import type { Attribute, DType, Graph, LocalFunction, Node, OnnxModel, Tensor } from '../../src/graph/ir'
import { fromFloat32, fromIntegers, type IntegerDType } from '../../src/graph/tensor'
import { concatBytes, writeModel } from '../../src/graph/write'

ort.env.wasm.numThreads = 1
ort.env.logLevel = 'error'

type Plain = number | string | readonly number[] | Tensor | Graph

/** Integers become int attributes; a float attribute is written { float: x }. */
export function node(
  op_type: string,
  inputs: string[],
  outputs: string[],
  attributes: Record<string, Plain | { float: number }> = {},
  domain = '',
): Node {
  return {
    op_type,
    domain,
    name: `${op_type}_${/^y0?$/.test(outputs[0] ?? '') ? '0' : outputs[0]}`,
    inputs,
    outputs,
    attributes: new Map(Object.entries(attributes).map(([name, value]) => [name, attribute(value)])),
  }
}

function attribute(value: Plain | { float: number }): Attribute {
  if (typeof value === 'number') return { type: 'int', value }
  if (typeof value === 'string') return { type: 'string', value }
  if (Array.isArray(value)) return { type: 'ints', value: value.map(Number) }
  if ('float' in value) return { type: 'float', value: value.float }
  if ('nodes' in value) return { type: 'graph', value }
  if ('bytes' in value) return { type: 'tensor', value }
  throw new Error('attribute')
}

/** An array of numbers with a shape and an ONNX element type. */
export interface Values {
  readonly dtype: 'float32' | IntegerDType
  readonly dims: readonly number[]
  readonly data: readonly number[]
}

export const floats = (dims: readonly number[], data: readonly number[]): Values => ({ dtype: 'float32', dims, data })
export const ints = (dims: readonly number[], data: readonly number[]): Values => ({ dtype: 'int64', dims, data })
export const bools = (dims: readonly number[], data: readonly number[]): Values => ({ dtype: 'bool', dims, data })

export function tensor({ dtype, dims, data }: Values): Tensor {
  return dtype === 'float32' ? fromFloat32(dims, Float32Array.from(data)) : fromIntegers(dtype, dims, data)
}

export interface GraphParts {
  readonly nodes: readonly Node[]
  readonly inputs?: Readonly<Record<string, Values>>
  readonly initializers?: Readonly<Record<string, Tensor>>
  /** Element type and rank of each output; onnxruntime refuses a wrong one. */
  readonly outputs: Readonly<Record<string, { readonly dtype: DType; readonly dims: readonly number[] }>>
  readonly opset?: number
  readonly functions?: readonly LocalFunction[]
}

export function model(parts: GraphParts): OnnxModel {
  const info = (name: string, dtype: DType, rank: number) => ({
    name,
    dtype,
    dims: Array.from({ length: rank }, (_, i) => `${name}_${i}`),
  })
  return {
    ir_version: 8,
    producer_name: 'test',
    opsets: new Map([
      ['', parts.opset ?? 17],
      ['com.microsoft', 1],
      ...(parts.functions ?? []).map(({ domain }) => [domain, 1] as const),
    ]),
    ...(parts.functions && { functions: parts.functions }),
    graph: {
      name: 'test',
      nodes: parts.nodes,
      inputs: Object.entries(parts.inputs ?? {}).map(([name, { dtype, dims }]) => info(name, dtype, dims.length)),
      outputs: Object.entries(parts.outputs).map(([name, { dtype, dims }]) => info(name, dtype, dims.length)),
      initializers: new Map(Object.entries(parts.initializers ?? {})),
    },
  }
}

/** What onnxruntime computes, by output name. */
export async function runOnnx(parts: GraphParts): Promise<Record<string, Values>> {
  const bytes = concatBytes(writeModel(model(parts)))
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: ['wasm'],
    logSeverityLevel: 4,
    graphOptimizationLevel: 'disabled',
  })
  const feeds = Object.fromEntries(Object.entries(parts.inputs ?? {}).map(([name, values]) => [name, ortTensor(values)]))
  const results = await session.run(feeds)
  await session.release()
  return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromOrt(value)]))
}

function ortTensor({ dtype, dims, data }: Values): ort.Tensor {
  switch (dtype) {
    case 'float32':
      return new ort.Tensor('float32', Float32Array.from(data), dims)
    case 'int64':
      return new ort.Tensor('int64', BigInt64Array.from(data, BigInt), dims)
    case 'int32':
      return new ort.Tensor('int32', Int32Array.from(data), dims)
    case 'uint8':
      return new ort.Tensor('uint8', Uint8Array.from(data), dims)
    case 'int8':
      return new ort.Tensor('int8', Int8Array.from(data), dims)
    case 'bool':
      return new ort.Tensor('bool', Uint8Array.from(data), dims)
    default:
      throw new Error(`${dtype} is not fed in tests`)
  }
}

function fromOrt(value: ort.Tensor): Values {
  const { type, dims, data } = value
  if (type !== 'float32' && type !== 'int64' && type !== 'int32' && type !== 'bool' && type !== 'uint8' && type !== 'int8')
    throw new Error(`onnxruntime gave ${type}`)
  return { dtype: type, dims, data: Array.from(data, Number) }
}
