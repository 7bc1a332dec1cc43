/**
 * onnxruntime (wasm, one thread, in Node) on model files of every style: whatever an export asks for besides what is given is made up as
 * at the start of a text, for any batch. It shares nothing with our own reading of a file.
 */
import * as ort from 'onnxruntime-web'
import { float16ToFloat32 } from '../../../src/graph/tensor'

ort.env.wasm.numThreads = 1
ort.env.logLevel = 'error'

export interface Grid {
  readonly batch: number
  readonly length: number
}

/** Values by input name. */
export type Given = Readonly<
  Record<string, { readonly dims: readonly number[]; readonly data: Float32Array | readonly number[] }>
>

/**
 * One output of a file as float32.
 * @param grid of the tokens the file reads
 * @throws Error when onnxruntime refuses the file, or for an input that is neither given nor known
 */
export async function runFile(bytes: Uint8Array, output: string, grid: Grid, given: Given): Promise<Float32Array> {
  const session = await open(bytes)
  try {
    return await session(output, grid, given)
  } finally {
    await session.close()
  }
}

export interface OpenFile {
  (output: string, grid: Grid, given: Given): Promise<Float32Array>
  close(): Promise<void>
}

/** A file to run several times. */
export async function open(bytes: Uint8Array): Promise<OpenFile> {
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: ['wasm'],
    logSeverityLevel: 4,
    // Its optimizer moves the DequantizeLinear of an int8 table in files of operator set 21 and later, and then refuses its own node.
    extra: { session: { disable_quant_qdq: '1' } },
  })
  const run = async (output: string, grid: Grid, given: Given) => {
    const feeds: Record<string, ort.Tensor> = {}
    for (const info of session.inputMetadata) {
      if (!info.isTensor) throw new Error(`the input '${info.name}' is no tensor`)
      const values = given[info.name] ?? madeUp(info.name, info.shape, grid)
      feeds[info.name] = tensor(info.type, values.dims, values.data)
    }
    const result = (await session.run(feeds, [output]))[output]
    if (!result) throw new Error(`no output '${output}'`)
    return floats(result)
  }
  return Object.assign(run, { close: () => session.release() })
}

function madeUp(name: string, shape: readonly (number | string)[], { batch, length }: Grid): Given[string] {
  const grid = (value: (i: number) => number) => ({
    dims: [batch, length],
    data: Array.from({ length: batch * length }, (_, i) => value(i)),
  })
  if (/mask$/.test(name)) return grid(() => 1)
  if (name === 'position_ids') return grid((i) => i % length)
  if (name === 'cache_position') return { dims: [length], data: Array.from({ length }, (_, i) => i) }
  // No cached branch; the logits of all positions.
  if (name === 'use_cache_branch' || /logits_to_keep$/.test(name)) {
    const dims = shape.map(() => 1)
    return { dims, data: [0] }
  }
  if (name.startsWith('past')) {
    const dims = shape.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? batch : 0))
    return { dims, data: new Array<number>(dims.reduce((product, dim) => product * dim, 1)).fill(0) }
  }
  throw new Error(`nobody knows what to feed the input '${name}'`)
}

function tensor(type: string, dims: readonly number[], data: Float32Array | readonly number[]): ort.Tensor {
  switch (type) {
    case 'int64':
      return new ort.Tensor('int64', BigInt64Array.from(data, BigInt), dims)
    case 'int32':
      return new ort.Tensor('int32', Int32Array.from(data), dims)
    case 'bool':
      return new ort.Tensor('bool', Uint8Array.from(data), dims)
    case 'float16':
      if (data.length > 0) throw new Error('no float16 numbers are fed in tests')
      return new ort.Tensor('float16', new Uint16Array(0), dims)
    default:
      return new ort.Tensor('float32', Float32Array.from(data), dims)
  }
}

function floats({ data, type }: ort.Tensor): Float32Array {
  if (data instanceof Float32Array) return data
  if (type === 'float16' && ArrayBuffer.isView(data))
    return Float32Array.from(new Uint16Array(data.buffer, data.byteOffset, data.length), float16ToFloat32)
  throw new Error(`${type} instead of floats`)
}
