/**
 * What this room uses of onnxruntime-web: handed in by whoever loads it (the worker, through transformers.js; tests, in Node),
 * so that there is one copy of its wasm and nothing here decides where that comes from.
 */
import type * as ort from 'onnxruntime-web/webgpu'

export type OrtLibrary = Pick<typeof ort, 'env' | 'InferenceSession' | 'Tensor'>
export type OrtSession = ort.InferenceSession
export type OrtTensor = ort.Tensor
export type OrtSessionOptions = ort.InferenceSession.SessionOptions

/** onnxruntime's own words. What wasm throws may be a bare number: the address of a C++ exception, usually an allocation that failed. */
export function ortMessage(cause: unknown): string {
  if (cause instanceof Error) return cause.message
  if (typeof cause === 'number') return `a C++ exception without a message (${cause}), usually because the wasm memory is full`
  return String(cause)
}
