/** The training program of the embedded causal model for one small batch, and numbers to feed it: for tests that run a whole model. */
import type { HostArray } from '../../src/engine/engine'
import { checkpoint } from '../../src/graph/checkpoint'
import { cutModel } from '../../src/graph/cut'
import { readEmbeddingRows } from '../../src/graph/embedding'
import { fuse } from '../../src/graph/fuse'
import { trainingProgram } from '../../src/graph/objective'
import type { Program } from '../../src/graph/program'
import { readModel } from '../../src/graph/read'
import { specialize } from '../../src/graph/specialize'
import { seeded } from './op-case'

const B = 2
const S = 24
const L = 4

export interface TrainingStep {
  readonly program: Program
  readonly feeds: ReadonlyMap<string, HostArray>
}

/**
 * @param bytes the .onnx file, in an ArrayBuffer of its own
 * @param segments above 1: with gradient checkpointing
 */
export function trainingStep(bytes: Uint8Array, segments = 1): TrainingStep {
  const cut = cutModel(readModel(bytes))
  const { program } = specialize(cut, { batch_size: B, sequence_length: S, mask: 'ones', simulate_rounding: true })
  const next = seeded(1)
  const ids = (count: number) => Int32Array.from({ length: count }, () => Math.floor(next() * cut.vocab_size))
  const plain = trainingProgram(fuse(program), { label_length: L, gradient_lengths: { inputs_embeds: 8 } })
  return {
    program: segments === 1 ? plain : checkpoint(plain, 'loss', segments),
    feeds: new Map<string, HostArray>([
      ['inputs_embeds', readEmbeddingRows(cut.embedding, ids(B * S))],
      ['label_positions', Int32Array.of(10, 11, 12, 13, 20, 21, 22, 22)],
      ['label_ids', ids(B * L)],
      ['label_weights', Float32Array.of(0.2, 0.2, 0.1, 0.1, 0.2, 0.1, 0.1, 0)],
    ]),
  }
}
