/** onnxruntime (wasm, in Node) as the reference: runs a whole ONNX file on token ids, with every other input made up to fit. */
import * as ort from 'onnxruntime-web'
import { readModel } from '../../src/graph/read'
import { float16ToFloat32 } from '../../src/graph/tensor'

ort.env.wasm.numThreads = 1

export interface RunResult {
  readonly dims: readonly number[]
  readonly data: Float32Array
}

/**
 * @param given inputs to feed as they are, instead of what is made up
 * @returns the float outputs by name. Past inputs are empty, masks all ones, positions count up, batch 1.
 */
export async function runOnnx(
  file: Uint8Array,
  ids: readonly number[],
  outputs: readonly string[],
  given: Readonly<Record<string, ort.Tensor>> = {},
): Promise<Map<string, RunResult>> {
  const { graph } = readModel(file)
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 3 })
  const length = ids.length
  const int64 = (values: readonly number[]) => new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length])
  const feeds: Record<string, ort.Tensor> = {}
  for (const { name, dtype, dims } of graph.inputs) {
    const fed = given[name]
    if (fed) feeds[name] = fed
    else if (name === 'input_ids') feeds[name] = int64(ids)
    else if (name === 'attention_mask') feeds[name] = int64(ids.map(() => 1))
    else if (name === 'encoder_attention_mask') feeds[name] = int64([1, 1, 1])
    else if (name === 'position_ids') feeds[name] = int64(ids.map((_, i) => i))
    else if (name === 'use_cache_branch') feeds[name] = new ort.Tensor('bool', [false], [1])
    else if (name === 'encoder_hidden_states') {
      const width = Number(dims[2])
      feeds[name] = new ort.Tensor(
        'float32',
        Float32Array.from({ length: 3 * width }, (_, i) => Math.sin(i)),
        [1, 3, width],
      )
    } else {
      const shape = dims.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : 0))
      const type = dtype === 'float16' ? 'float16' : 'float32'
      feeds[name] = new ort.Tensor(type, type === 'float16' ? new Uint16Array(0) : new Float32Array(0), shape)
    }
  }
  const results = await session.run(feeds, [...outputs])
  const read = new Map<string, RunResult>()
  for (const [name, tensor] of Object.entries(results)) {
    const data: unknown = tensor.data
    const floats =
      data instanceof Float32Array ? data : data instanceof Uint16Array ? Float32Array.from(data, float16ToFloat32) : null
    if (!floats) throw new Error(`output ${name} of ${length} ids is ${tensor.type}`)
    read.set(name, { dims: tensor.dims, data: floats })
  }
  await session.release()
  return read
}

export async function logitsOf(file: Uint8Array, ids: readonly number[]): Promise<RunResult> {
  const logits = (await runOnnx(file, ids, ['logits'])).get('logits')
  if (!logits) throw new Error('no logits')
  return logits
}
