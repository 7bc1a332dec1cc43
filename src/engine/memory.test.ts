/** The memory estimate of real exports: what it counts, when it says no, and that what it recommends does fit. */
import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-web'
import { describe, expect, test } from 'vitest'
import { loadFixture } from '../../test/support/causal'
import { loadSeq2Seq } from '../../test/support/seq2seq'
import type { CutModel } from '../graph/cut'
import { peakActivationBytes } from '../graph/peak-activations'
import type { EngineMemory } from './engine'
import { estimateMemory, type MemoryEstimate, type StepShape } from './memory'
import { createOrtEngine } from './ort/ort-engine'
import { wasmMemory } from './ort/wasm-memory'
import { forwardProgram, trainingOf } from './programs'

const MIB = 2 ** 20
const EMBEDDED = 'public/models/promptlathe/tiny-causal/onnx/model.onnx'
const { cut } = loadFixture(EMBEDDED)
const shape: StepShape = {
  batch_size: 16,
  sequence_length: 128,
  label_length: 4,
  score_label_length: 8,
  encoder: null,
  lengths: { decoder: 8, encoder: 0 },
}

function estimate(
  total: number | null,
  more: Partial<EngineMemory> = {},
  changed: Partial<StepShape> = {},
  of: CutModel = cut,
): MemoryEstimate {
  const memory = {
    total_bytes: total === null ? null : total * MIB,
    tensor_bytes: null,
    copies_weights: true,
  }
  return estimateMemory({
    cut: of,
    device: 'wasm',
    memory: { ...memory, ...more },
    shape: { ...shape, ...changed },
    simulate_rounding: true,
  })
}

describe('the embedded model', () => {
  const plenty = estimate(4096)

  test('weights are what onnxruntime holds, activations those of the program', async () => {
    const { program } = trainingOf(forwardProgram(cut, shape, true), shape, shape.lengths)
    const engine = await createOrtEngine({ ort, threads: 1 })
    const executable = await engine.load(program)
    const { bytes } = engine.counters()
    await executable.dispose()
    const { weight_bytes, activation_bytes } = plenty
    expect(activation_bytes).toBe(peakActivationBytes(program))
    expect(Math.abs(weight_bytes + activation_bytes - bytes) / bytes).toBeLessThan(0.01)
    expect(weight_bytes).toBeLessThan(1.1 * readFileSync(EMBEDDED).byteLength)
  })

  test('with plenty it fits as it is; with less by computing layers again; with too little not at all', () => {
    expect(plenty).toMatchObject({ verdict: 'fits', segments: 1, advice: [], obstacle: null, limit_bytes: 4096 * MIB })
    const needed = plenty.needed_bytes / MIB
    expect(plenty.summary).toMatch(
      /^Training fits: it needs about \d+ MiB of 4\.0 GiB on wasm: \d+ MiB weights, \d+ MiB activations/,
    )
    expect(estimate(needed + 1).verdict).toBe('fits')
    const tight = estimate(needed - 10)
    expect(tight).toMatchObject({
      verdict: 'fits_with_checkpointing',
      plain_activation_bytes: plenty.activation_bytes,
      advice: [],
    })
    expect(tight.segments).toBeGreaterThan(1)
    expect(tight.needed_bytes).toBeLessThanOrEqual((needed - 10) * MIB)
    expect(tight.summary).toContain('gradient checkpointing')
    const none = estimate(122)
    expect(none.verdict).toBe('does_not_fit')
    expect(none.summary).toMatch(/^Training does not fit: it needs about \d+ MiB of 122 MiB on wasm/)
  })

  test('the batch_size and length it recommends do fit, and the steps stay the same', () => {
    const none = estimate(122)
    const [rows = NaN, steps = NaN] =
      /batch_size to (\d+), with accumulate_steps (\d+)/.exec(none.advice.join(' '))?.slice(1).map(Number) ?? []
    expect(rows * steps).toBeGreaterThanOrEqual(shape.batch_size)
    expect(estimate(122, {}, { batch_size: rows }).verdict).not.toBe('does_not_fit')
    expect(estimate(122, {}, { batch_size: 2 * rows }).verdict).toBe('does_not_fit')
    const length = Number(/max_source_length: (\d+) tokens/.exec(none.advice.join(' '))?.[1])
    expect(estimate(122, {}, { sequence_length: length }).verdict).not.toBe('does_not_fit')
  })

  test('weights that are too large by themselves ask for another file or device, not for fewer rows', () => {
    const { verdict, advice } = estimate(10)
    expect(verdict).toBe('does_not_fit')
    expect(advice.join(' ')).not.toContain('batch_size')
    expect(advice.join(' ')).toMatch(/model_dtype, where the model has one: fp16 \(about \d+ MiB\), q8 .*device \(webgpu/)
  })

  test('a device that does not say what it has is no reason to refuse; one tensor too large is', () => {
    const unknown = estimate(null)
    expect(unknown).toMatchObject({ verdict: 'fits', limit_bytes: null })
    expect(unknown.summary).toContain('does not say')
    const { verdict, obstacle, advice } = estimate(null, { tensor_bytes: 256 * 1024 })
    expect(verdict).toBe('does_not_fit')
    expect(obstacle).toMatch(/takes \d+ MiB, and this device holds at most 1 MiB in one tensor/)
    expect(advice.length).toBeGreaterThan(0)
  })

  test('packed weights count as they are stored', () => {
    const { cut: quantized } = loadFixture(EMBEDDED.replace('model.onnx', 'model_quantized.onnx'))
    expect(estimate(4096, {}, {}, quantized).weight_bytes).toBeLessThan(plenty.weight_bytes / 2)
  })
})

test('an encoder-decoder counts both stacks', () => {
  const { cut: t5 } = loadSeq2Seq('t5 of peft')
  const step = { sequence_length: 16, encoder: { sequence_length: 64, width: null }, lengths: { decoder: 0, encoder: 8 } }
  const short = estimate(4096, {}, { ...step, encoder: { sequence_length: 32, width: null } }, t5)
  const long = estimate(4096, {}, step, t5)
  expect(long.positions).toBe(64)
  expect(long.activation_bytes).toBeGreaterThan(1.5 * short.activation_bytes)
})

test('what wasm has: its address space, or a part of a small machine', () => {
  expect(wasmMemory(null).total_bytes).toBe(3.75 * 2 ** 30)
  expect(wasmMemory(8).total_bytes).toBe(3.75 * 2 ** 30)
  expect(wasmMemory(2).total_bytes).toBe(1.2 * 2 ** 30)
})
