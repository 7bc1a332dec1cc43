/** The browser half of webgpu-model.test.ts: runs training steps of a served .onnx file on WebGPU. Bundled and served by run-page.ts. */
import type { Counters } from '../../src/engine/engine'
import { createTfjsEngine } from '../../src/engine/tfjs/tfjs-engine'
import { trainingStep } from '../support/tiny-causal'

export interface ModelRun {
  readonly loss: number
  readonly d_inputs_embeds: number[]
  /** After each step. */
  readonly counters: Counters[]
  readonly milliseconds: number[]
}

export interface ModelPage {
  /** `segments` above 1: with gradient checkpointing. */
  train(url: string, steps: number, segments?: number): Promise<ModelRun>
}

declare global {
  interface Window {
    modelPage: ModelPage
  }
}

window.modelPage = {
  async train(url, steps, segments) {
    const response = await fetch(url)
    const { program, feeds } = trainingStep(new Uint8Array(await response.arrayBuffer()), segments)
    const engine = await createTfjsEngine({ backend: 'webgpu' })
    const executable = await engine.load(program)
    const counters: Counters[] = []
    const milliseconds: number[] = []
    let outputs = new Map<string, ArrayLike<number>>()
    for (let step = 0; step < steps; step++) {
      const start = performance.now()
      outputs = new Map(await executable.run(feeds))
      milliseconds.push(performance.now() - start)
      counters.push(engine.counters())
    }
    await engine.dispose()
    return {
      loss: outputs.get('loss')?.[0] ?? NaN,
      d_inputs_embeds: Array.from(outputs.get('d_inputs_embeds') ?? []),
      counters,
      milliseconds,
    }
  },
}
