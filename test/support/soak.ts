/** Many training steps of a small model on wasm, watching everything that could grow. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { wasmBytes } from './wasm-memory'
import type { Counters } from '../../src/engine/engine'
import type { GraphModel } from '../../src/engine/graph-model'
import { Assembler } from '../../src/tuning/assemble'
import { newOptimizerState } from '../../src/tuning/optimizer'
import { trainStep } from '../../src/tuning/step'
import { layoutOf, open } from './tuning'

/** What is alive after some step. */
export interface Alive {
  readonly step: number
  readonly live_tensors: number
  readonly bytes: number
  readonly wasm_bytes: number
  /** JavaScript's heap and the arrays beside it, after a collection. */
  readonly heap_bytes: number
  readonly array_bytes: number
}

export interface Soak {
  readonly samples: readonly Alive[]
  readonly first_loss: number
  readonly last_loss: number
}

const N = 4

/** Real optimizer steps on two batches of different lengths in turn; looks every `every` steps, the first time after as many. */
export async function soak(model: GraphModel, steps: number, every: number): Promise<Soak> {
  const row = (source: number[], target: number[]) => ({ encoder: null, source, target, task: 0 })
  const sequences = [
    row([5, 9, 11], [7, 2]),
    row([8, 4], [6, 3, 2]),
    row([5, 6, 7, 8, 9, 10, 11], [2, 4]),
    row([12, 13, 14, 15, 16], [9]),
  ]
  const groups = [
    [{ shape: { sequence_length: 16, label_length: 3, encoder_length: 0 }, rows: [0, 1] }],
    [{ shape: { sequence_length: 24, label_length: 3, encoder_length: 0 }, rows: [2, 3] }],
  ]
  const settings = {
    weighting: 'token_mean',
    accumulate_steps: 1,
    max_grad_norm: 1,
    weight_decay: 0.01,
    optimizer: 'adamw',
  } as const
  const layout = layoutOf(N, model.hidden_size)
  const trained = { layout, parameters: model.embed([1, 2, 3, 4], 'decoder') }
  const adam = newOptimizerState('adamw', layout)
  const assembler = new Assembler(model, 2)
  const samples: Alive[] = []
  const losses: number[] = []
  for (let step = 1; step <= steps; step++) {
    const group = groups[step % 2]
    if (!group) throw new Error('two groups')
    const done = await trainStep(model, assembler, trained, adam, group, sequences, 1e-3, settings, open)
    losses.push(done?.loss ?? NaN)
    if (step % every === 0) samples.push(alive(step, model.counters()))
  }
  return { samples, first_loss: losses[0] ?? NaN, last_loss: losses.at(-1) ?? NaN }
}

function alive(step: number, { live_tensors, bytes }: Counters): Alive {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc()')
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return { step, live_tensors, bytes, wasm_bytes: wasmBytes(), heap_bytes: heapUsed, array_bytes: arrayBuffers }
}

/** How much more there is at the end than after the first look: 0 of what never grows. */
export function growth({ samples }: Soak): Omit<Alive, 'step'> {
  const [first, last] = [samples[0], samples.at(-1)]
  if (!first || !last) throw new RangeError('a soak of no samples')
  return {
    live_tensors: last.live_tensors - first.live_tensors,
    bytes: last.bytes - first.bytes,
    wasm_bytes: last.wasm_bytes - first.wasm_bytes,
    heap_bytes: last.heap_bytes - first.heap_bytes,
    array_bytes: last.array_bytes - first.array_bytes,
  }
}
