/** The tuning worker's session in Node, for tests: real messages over a MessageChannel, real onnxruntime (wasm, one thread), the embedded models. */
import * as ort from 'onnxruntime-web/webgpu'
import { afterEach } from 'vitest'
import { connect, fetchOwnModels, MODELS_PATH, storesIn } from '../../cli/in-process'
import { RequestFailed, type TunerClient } from '../../src/client'
import type { KeyValueStore } from '../../src/library/store'
import type { Locks } from '../../src/models/file-locks'
import type { Failure } from '../../src/protocol'
import { Tuner } from '../../workers/session/tuner'

ort.env.wasm.numThreads = 1

/** What the page's server serves. */
export const ROOT = new URL('../../public/', import.meta.url)

const open: { close(): void }[] = []
afterEach(() => open.splice(0).forEach((connection) => connection.close()))

/**
 * A worker of our own: the two ends of a channel, with everything cloned on the way.
 * @param hub answers for other addresses than the page's own models
 * @param locks what other workers on the same stores have too; null: there are none
 */
export function startWorker(
  stores: Map<string, KeyValueStore>,
  hub: typeof fetch = fetchOwnModels,
  locks: Locks | null = null,
): TunerClient {
  const anywhere: typeof fetch = (input, init) =>
    (String(input instanceof Request ? input.url : input).startsWith(MODELS_PATH) ? fetchOwnModels : hub)(input, init)
  const surroundings = {
    ort,
    fetch: anywhere,
    models_path: MODELS_PATH,
    openStore: storesIn(stores),
    storage: null,
    locks,
  }
  const connection = connect((post) => new Tuner({ ...surroundings, post }))
  open.push(connection)
  return connection.client
}

/** What a request failed with. */
export async function failure(promise: Promise<unknown>): Promise<Failure> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof RequestFailed)) throw new Error(`expected a RequestFailed, got ${String(error)}`)
  return error.failure
}
