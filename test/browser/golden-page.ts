/** The browser half of golden.test.ts: replays PEFT's golden runs on a device of a real browser. */
import * as ort from 'onnxruntime-web/webgpu'
import ortModule from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import ortWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import golden from '../fixtures/peft/golden.json?raw'
import torchGolden from '../fixtures/torch/t5-decoder-golden.json?raw'
import gpt2 from '../fixtures/peft/gpt2/onnx/model.onnx?url'
import llama from '../fixtures/peft/llama/onnx/model.onnx?url'
import t5Decoder from '../fixtures/peft/t5/onnx/decoder_model.onnx?url'
import t5Encoder from '../fixtures/peft/t5/onnx/encoder_model.onnx?url'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import { createTfjsEngine } from '../../src/engine/tfjs/tfjs-engine'
import { goldenModel, parseGolden, replayGolden, type GoldenResult } from '../support/peft-golden'

ort.env.wasm.wasmPaths = { mjs: ortModule, wasm: ortWasm }

export interface GoldenPage {
  replay(device: 'webgpu' | 'wasm', name: string): Promise<GoldenResult>
}

declare global {
  interface Window {
    goldenPage: GoldenPage
  }
}

/** The files a case was made with: a causal model's one, an encoder and its decoder. */
function filesOf(name: string): readonly string[] {
  if (name.startsWith('t5')) return [t5Encoder, t5Decoder]
  return [name.startsWith('gpt2') ? gpt2 : llama]
}

window.goldenPage = {
  async replay(device, name) {
    const files = await Promise.all(filesOf(name).map(async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer())))
    const engine = await (device === 'webgpu' ? createTfjsEngine({ backend: 'webgpu' }) : createOrtEngine({ ort, threads: 2 }))
    try {
      return await replayGolden(goldenModel(files), parseGolden([golden, torchGolden], name), engine)
    } finally {
      await engine.dispose()
    }
  },
}
