/**
 * What this room uses of onnxruntime-web: handed in by whoever loads it (the worker, through transformers.js; tests, in Node),
 * so that there is one copy of its wasm and nothing here decides where that comes from.
 */
export type OrtLibrary = Pick<typeof import('onnxruntime-web/webgpu'), 'env' | 'InferenceSession' | 'Tensor'>
export type OrtSession = import('onnxruntime-web/webgpu').InferenceSession
export type OrtTensor = import('onnxruntime-web/webgpu').Tensor
export type OrtSessionOptions = import('onnxruntime-web/webgpu').InferenceSession.SessionOptions

/** onnxruntime's own words. What wasm throws may be a bare number: the address of a C++ exception, usually an allocation that failed. */
export function ortMessage(cause: unknown): string {
  if (cause instanceof Error) return cause.message
  if (typeof cause === 'number') return `a C++ exception without a message (${cause}), usually because the wasm memory is full`
  return String(cause)
}
