/** An ONNX model as an onnxruntime session on the wasm provider. */
import type { OnnxModel } from '../../graph/ir'
import { DeferredBytes, ReadBuffer } from '../../graph/source'
import { byteLength } from '../../graph/tensor'
import { concatBytes, writeModel } from '../../graph/write'
import type { OrtLibrary, OrtSession, OrtSessionOptions } from './ort-library'

/** Initializers from this size on are handed over beside the model instead of inside it. */
const EXTERNAL_BYTES = 1024

/** What onnxruntime says, or fails to say, when external data is not where it was. */
const LOST_DATA = /external data|ERROR_MESSAGE: *$/i

/** Tries before another session's start is no longer an excuse. */
const ATTEMPTS = 3

/** Sessions are made one after the other: onnxruntime refuses to start its wasm twice at once. */
let last: Promise<unknown> = Promise.resolve()

/**
 * The session holds its own copy of the weights, copied straight from where they lie (the model file, in memory or not; then one tensor is in
 * memory at a time, each where the one before was): handed over inside the model, they would be copied twice more on the way, and wasm memory never shrinks (measured for
 * 268 MB of weights: 340 MB against 990).
 */
export async function createSession(ort: OrtLibrary, model: OnnxModel, options: OrtSessionOptions = {}): Promise<OrtSession> {
  const files = new Map<string, string>()
  const externalData: { path: string; data: Uint8Array }[] = []
  const stored = [...model.graph.initializers.values()].map((tensor) => tensor.stored?.length ?? 0)
  const shared = new ReadBuffer(stored.reduce((most, length) => Math.max(most, length), 0))
  for (const [name, tensor] of model.graph.initializers) {
    if (byteLength(tensor) < EXTERNAL_BYTES) continue
    const path = `weights${files.size}`
    files.set(name, path)
    externalData.push({ path, data: tensor.stored ? new DeferredBytes(tensor.stored, shared) : tensor.bytes })
  }
  const file = concatBytes(writeModel(model, files))
  const create = last.then(() =>
    outlastingOthers(() =>
      ort.InferenceSession.create(file, {
        executionProviders: ['wasm'],
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
        externalData,
        extra: {
          // Packed weights would be a second copy of every matrix, and are no faster.
          session: { disable_prepacking: '1' },
          // Weights of 16 bits and less are expanded when their product is due, each time anew: both of these would keep them all expanded.
          optimization: { disable_specified_optimizers: 'ConstantFolding;CommonSubexpressionElimination' },
        },
        ...options,
      }),
    ),
  )
  last = create.catch(() => undefined)
  return create.finally(() => shared.free())
}

/**
 * onnxruntime keeps the external data of all sessions being made in one place and clears it when any of them is done: a session someone else
 * (transformers.js) makes at the same moment can take ours away.
 */
async function outlastingOthers(create: () => Promise<OrtSession>): Promise<OrtSession> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await create()
    } catch (cause) {
      if (attempt === ATTEMPTS || !LOST_DATA.test(String(cause))) throw cause
    }
  }
}
