/** Starts onnxruntime's wasm and says with how many threads it runs. The first start fixes them for the whole page or worker. */
import { EngineError } from '../engine'
import { lower } from './lower'
import { createSession } from './ort-session'
import { ortMessage, type OrtLibrary } from './ort-library'

/** More threads than this bring small models nothing: a step is a few milliseconds. */
const MAX_THREADS = 4

/** Libraries whose wasm has been started from here, with the line that describes it. */
const started = new WeakMap<OrtLibrary['env'], string>()

/**
 * @param threads how many to ask for
 * @returns one line for people
 * @throws EngineError if the wasm does not start
 */
export async function startThreads(ort: OrtLibrary, threads?: number): Promise<string> {
  const known = started.get(ort.env)
  if (known !== undefined) return known
  const isolated = !('crossOriginIsolated' in globalThis) || globalThis.crossOriginIsolated
  const { wasm } = ort.env
  const cores = globalThis.navigator?.hardwareConcurrency ?? 1
  // 0 (and undefined) leave the choice to onnxruntime, which takes half the cores: all of them are ours while we train.
  wasm.numThreads = isolated ? (threads ?? (wasm.numThreads || Math.min(cores, MAX_THREADS))) : 1
  try {
    const session = await createSession(ort, lower(NOTHING))
    await session.release()
  } catch (cause) {
    throw new EngineError(`wasm: onnxruntime does not start: ${ortMessage(cause)}`, { cause })
  }
  // onnxruntime takes its wish back where threads are not to be had.
  const running = wasm.numThreads
  const line = isolated
    ? `wasm, ${running} ${running === 1 ? 'thread' : 'threads'}`
    : 'wasm, 1 thread: the page is not cross-origin isolated'
  started.set(ort.env, line)
  return line
}

/** The smallest program there is: returns what it is fed. */
const NOTHING = {
  ops: [],
  inputs: ['x'],
  outputs: ['x'],
  constants: new Map(),
  values: new Map([['x', { dtype: 'float32' as const, dims: [1] }]]),
}
