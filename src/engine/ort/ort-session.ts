/** An ONNX model as an onnxruntime session on the wasm provider. */
import type { OnnxModel } from '../../graph/ir'
import { concatBytes, writeModel } from '../../graph/write'
import type { OrtLibrary, OrtSession, OrtSessionOptions } from './ort-library'

/** Sessions of one page are made one after the other: onnxruntime refuses to start its wasm twice at once. */
let last: Promise<unknown> = Promise.resolve()

export async function createSession(ort: OrtLibrary, model: OnnxModel, options: OrtSessionOptions = {}): Promise<OrtSession> {
  const create = last.then(() =>
    ort.InferenceSession.create(concatBytes(writeModel(model)), {
      executionProviders: ['wasm'],
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
      // Packed weights would be a second copy of every matrix.
      extra: { session: { disable_prepacking: '1' } },
      ...options,
    }),
  )
  last = create.catch(() => undefined)
  return create
}
