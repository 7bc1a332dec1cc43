/** The browser half of golden.test.ts: replays PEFT's golden runs on a device of a real browser. */
import * as ort from 'onnxruntime-web/webgpu'
import ortModule from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import ortWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import golden from '../fixtures/peft/golden.json?raw'
import gpt2 from '../fixtures/peft/gpt2/onnx/model.onnx?url'
import llama from '../fixtures/peft/llama/onnx/model.onnx?url'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import { createTfjsEngine } from '../../src/engine/tfjs/tfjs-engine'
import { parseGolden, replayGolden, type GoldenResult } from '../support/peft-golden'

ort.env.wasm.wasmPaths = { mjs: ortModule, wasm: ortWasm }

export interface GoldenPage {
  replay(device: 'webgpu' | 'wasm', name: 'gpt2_pt' | 'llama_pt'): Promise<GoldenResult>
}

declare global {
  interface Window {
    goldenPage: GoldenPage
  }
}

window.goldenPage = {
  async replay(device, name) {
    const response = await fetch(name === 'gpt2_pt' ? gpt2 : llama)
    const engine = await (device === 'webgpu' ? createTfjsEngine({ backend: 'webgpu' }) : createOrtEngine({ ort, threads: 2 }))
    try {
      return await replayGolden(new Uint8Array(await response.arrayBuffer()), parseGolden(golden, name), engine)
    } finally {
      await engine.dispose()
    }
  },
}
