/** Loading fixture models for tests, and running them in onnxruntime (wasm, one thread) as the reference. */
import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-web/webgpu'
import { cutModel, type CutCausal } from '../../src/graph/cut'
import { readModel } from '../../src/graph/read'

ort.env.wasm.numThreads = 1

export interface Fixture {
  readonly bytes: Uint8Array
  readonly cut: CutCausal
}

/** @param path from the repository's root */
export function loadFixture(path: string): Fixture {
  const bytes = new Uint8Array(readFileSync(path))
  return { bytes, cut: cutModel(readModel(bytes)) }
}

/**
 * Logits of a causal export for token ids, as onnxruntime computes them: positions from 0, no past.
 * @param ids [batch, length], `mask` likewise
 */
export async function referenceLogits(
  bytes: Uint8Array,
  batch: number,
  length: number,
  ids: readonly number[],
  mask: readonly number[],
) {
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ['wasm'] })
  const int64 = (values: readonly number[]) => new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [batch, length])
  const feeds: Record<string, ort.Tensor> = {}
  for (const info of session.inputMetadata) {
    if (info.name === 'input_ids') feeds[info.name] = int64(ids)
    else if (info.name === 'attention_mask') feeds[info.name] = int64(mask)
    else if (info.name === 'position_ids') feeds[info.name] = int64(ids.map((_, i) => i % length))
    else if (info.name === 'use_cache_branch') feeds[info.name] = new ort.Tensor('bool', Uint8Array.of(0), [1])
    else if (info.isTensor && info.name.startsWith('past_key_values')) {
      const dims = info.shape.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? batch : 0))
      feeds[info.name] = new ort.Tensor('float32', new Float32Array(0), dims)
    } else throw new Error(`input '${info.name}'`)
  }
  const { logits } = await session.run(feeds, ['logits'])
  await session.release()
  if (!logits || !(logits.data instanceof Float32Array)) throw new Error('no float logits')
  return logits.data
}
