/**
 * The tuning worker: gives a Tuner what this browser has, and passes messages both ways. Nothing is decided here.
 */
import * as ort from 'onnxruntime-web/webgpu'
import wasmModule from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import wasmBinary from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import { env } from '@huggingface/transformers'
import { indexedDbStore } from '../src/library/store'
import { Tuner } from './session/tuner'

// transformers.js and our engine share this copy of onnxruntime. Its files come from our own origin, and by their own URLs: fetched into a
// blob (useWasmCache) they would need a looser content security policy.
ort.env.wasm.wasmPaths = { mjs: new URL(wasmModule, self.location.href).href, wasm: new URL(wasmBinary, self.location.href).href }
ort.env.wasm.numThreads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1
env.useWasmCache = false

const tuner = new Tuner({
  ort,
  fetch: self.fetch.bind(self),
  // The worker lies one folder below the page, in development (workers/) as in the build (assets/).
  models_path: new URL('../models/', self.location.href).pathname,
  openStore: indexedDbStore,
  // Both are missing on insecure origins.
  storage: Reflect.has(navigator, 'storage') ? navigator.storage : null,
  locks: Reflect.has(navigator, 'locks') ? navigator.locks : null,
  post: (event) => self.postMessage(event),
})

self.onmessage = (message: MessageEvent<unknown>) => void tuner.receive(message.data)
