/**
 * One measurement in a process of its own: a model file is loaded and trained one step on wasm, and what that took is printed as JSON.
 *
 *     tsx bench/size/measure.ts MODEL.onnx [rows] [tokens] [steps]
 *
 * Nothing else has run here before, so the process' peak memory is that of loading and stepping.
 */
// First: it must see the memory being made.
import { wasmBytes } from '../../test/support/wasm-memory'
import * as ort from 'onnxruntime-web'
import type { TokenBatch } from '../../src/engine/frozen-model'
import { GraphModel } from '../../src/engine/graph-model'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import { selfTestIds } from '../../src/engine/self-test'
import { cutModel } from '../../src/graph/cut'
import { readModel } from '../../src/graph/read'
import { FileSource } from '../../test/support/sliced-source'
import { LABELS, VIRTUAL_TOKENS } from './measured'

interface Measured {
  readonly rows: number
  readonly tokens: number
  readonly loss: number
  /** Root mean square of the gradient. */
  readonly gradient: number
  /** Of the model's file. */
  readonly stored_bytes: number
  /** Of what a session holds of it: the embedding table stays in the file, and a batch's rows are read from it. */
  readonly weight_bytes: number
  readonly activation_bytes: number
  readonly segments: number
  /** Of onnxruntime's memory, which never shrinks. */
  readonly wasm_bytes: number
  /** The process' peak above what it was before the model was read. */
  readonly resident_bytes: number
  /** Milliseconds to read and cut the file, to estimate its memory, of the first step (with loading), and of the fastest step after it (others measure the machine's other work). */
  readonly read_ms: number
  readonly estimate_ms: number
  readonly first_ms: number
  readonly step_ms: number | null
}

/** A batch of real rows of the model's own table. */
function batchOf(model: GraphModel, batch_size: number, sequence_length: number): TokenBatch {
  const labels = batch_size * LABELS
  return {
    batch_size,
    sequence_length,
    label_length: LABELS,
    inputs_embeds: model.embed(selfTestIds(model.vocab_size, batch_size * sequence_length), 'decoder'),
    attention_mask: new Int32Array(batch_size * sequence_length).fill(1),
    label_positions: Int32Array.from({ length: labels }, (_, i) => sequence_length - LABELS + (i % LABELS)),
    label_ids: Int32Array.from(selfTestIds(model.vocab_size, labels)),
    label_weights: new Float32Array(labels).fill(1 / labels),
    encoder: null,
  }
}

async function measure(path: string, rows: number, tokens: number, steps: number): Promise<Measured> {
  const now = () => performance.now()
  const engine = await createOrtEngine({ ort, threads: 1 })
  const before = process.memoryUsage.rss()
  const began = now()
  const source = new FileSource(path)
  const cut = cutModel(readModel(source))
  const read = now()
  const model = new GraphModel({ cut, engine })
  const lengths = { decoder: VIRTUAL_TOKENS, encoder: 0 }
  const shape = {
    batch_size: rows,
    sequence_length: tokens,
    label_length: LABELS,
    score_label_length: LABELS,
    encoder: null,
    lengths,
  }
  const { weight_bytes, activation_bytes, segments } = model.memory(shape)
  const estimated = now()
  const batch = batchOf(model, rows, tokens)
  const { loss, d_inputs_embeds } = await model.lossAndGradient(batch, lengths)
  const stepped = now()
  const times: number[] = []
  for (let step = 0; step < steps; step++) {
    const start = now()
    await model.lossAndGradient(batch, lengths)
    times.push(now() - start)
  }
  const squares = d_inputs_embeds.reduce((sum, value) => sum + value * value, 0)
  return {
    rows,
    tokens,
    loss,
    gradient: Math.sqrt(squares / d_inputs_embeds.length),
    stored_bytes: source.size,
    weight_bytes,
    activation_bytes,
    segments,
    wasm_bytes: wasmBytes(),
    resident_bytes: process.resourceUsage().maxRSS * 1024 - before,
    read_ms: read - began,
    estimate_ms: estimated - read,
    first_ms: stepped - estimated,
    step_ms: times.length === 0 ? null : Math.min(...times),
  }
}

const [path = '', rows = '4', tokens = '64', steps = '0'] = process.argv.slice(2)
console.log(JSON.stringify(await measure(path, Number(rows), Number(tokens), Number(steps))))
process.exit(0)
