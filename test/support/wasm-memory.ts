/**
 * The size of every WebAssembly memory made in this process: what onnxruntime's wasm takes, which never shrinks, so that its size at the end is
 * its peak. To be imported before onnxruntime is.
 */
const memories: WebAssembly.Memory[] = []
const Original = WebAssembly.Memory

WebAssembly.Memory = class extends Original {
  constructor(descriptor: WebAssembly.MemoryDescriptor) {
    super(descriptor)
    memories.push(this)
  }
}

/** Bytes of all of them now. */
export function wasmBytes(): number {
  return memories.reduce((total, { buffer }) => total + buffer.byteLength, 0)
}
