/** The browser half of webgpu-model.test.ts: runs training steps of a served .onnx file, or of a head alone, on WebGPU. Bundled and served by run-page.ts. */
import type { Counters } from '../../src/engine/engine'
import { createTfjsEngine } from '../../src/engine/tfjs/tfjs-engine'
import { headStep, type HeadPrecision } from '../support/head-step'
import { trainingStep, type TrainingStep } from '../support/tiny-causal'

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
  /** One step of a head, on a device whose tensors may have so many bytes. */
  trainHead(precision: HeadPrecision, max_tensor_bytes?: number): Promise<ModelRun>
}

declare global {
  interface Window {
    modelPage: ModelPage
  }
}

window.modelPage = {
  async train(url, steps, segments) {
    const response = await fetch(url)
    return run(trainingStep(new Uint8Array(await response.arrayBuffer()), segments), steps)
  },
  trainHead: (precision, max_tensor_bytes) => run(headStep(precision), 1, max_tensor_bytes),
}

async function run({ program, feeds }: TrainingStep, steps: number, max_tensor_bytes?: number): Promise<ModelRun> {
  const limit = max_tensor_bytes === undefined ? {} : { max_tensor_bytes }
  const engine = await createTfjsEngine({ backend: 'webgpu', ...limit })
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
}
