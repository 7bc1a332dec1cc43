/** Checkpointed training programs of real exports: the numbers of the plain ones to the bit, in less memory the more segments there are. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadFixture } from '../../test/support/causal'
import { evaluateProgram } from '../../test/support/evaluate-program'
import { noiseFor, programWith } from '../../test/support/gradient-check'
import { llamaProgram } from '../../test/support/llama-program'
import { seeded } from '../../test/support/op-case'
import { loadSeq2Seq } from '../../test/support/seq2seq'
import { checkpoint, checkpointToFit } from './checkpoint'
import { differentiate } from './differentiate'
import { fuse } from './fuse'
import { elementCount } from './ir'
import { trainingProgram } from './objective'
import { peakActivationBytes } from './peak-activations'
import type { Program } from './program'
import { specialize, specializeSeq2Seq } from './specialize'

const [B, S, E, L] = [2, 12, 10, 3]

function causal(path: string): Program {
  const { program } = specialize(loadFixture(path).cut, {
    batch_size: B,
    sequence_length: S,
    mask: 'ones',
    simulate_rounding: true,
  })
  return trainingProgram(fuse(program), { label_length: L, gradient_lengths: { inputs_embeds: 4 } })
}

function seq2seq(): Program {
  const shape = { batch_size: B, sequence_length: S, encoder_length: E, simulate_rounding: true }
  const { program } = specializeSeq2Seq(loadSeq2Seq('t5 of peft').cut, shape)
  return trainingProgram(fuse(program), { label_length: L, gradient_lengths: { inputs_embeds: 4, encoder_inputs_embeds: 3 } })
}

const programs: readonly (readonly [string, () => Program])[] = [
  ['GPT-2', () => causal('test/fixtures/onnx/gpt2_t433_past.onnx')],
  ['GPT-2 with 8-bit layers', () => causal('test/fixtures/onnx/gpt2_t433_past_quantized.onnx')],
  ['Llama', () => causal('test/fixtures/peft/llama/onnx/model.onnx')],
  ['T5, encoder and decoder', seq2seq],
]

function feedsFor(program: Program): Map<string, ArrayLike<number>> {
  const next = seeded(3)
  return new Map(
    program.inputs.map((name) => {
      const { dtype, dims } = program.values.get(name) ?? { dtype: 'float32', dims: [] }
      return [
        name,
        Float32Array.from({ length: elementCount(dims) }, () => (dtype === 'int32' ? Math.floor(5 * next()) : next())),
      ]
    }),
  )
}

/** Every input of an op is there before the op: what engines rely on. */
function ordered({ ops, inputs, constants }: Program): boolean {
  const known = new Set([...inputs, ...constants.keys()])
  return ops.every((op) => {
    const ready = op.inputs.every((name) => known.has(name))
    const once = op.outputs.every((name) => !known.has(name))
    for (const name of op.outputs) known.add(name)
    return ready && once
  })
}

describe.each(programs)('%s', (_, make) => {
  const program = make()
  const feeds = feedsFor(program)
  const expected = evaluateProgram(program, feeds, { float32: true })

  it.each([2, 3, 50])('in %i segments gives the same loss and gradients in less memory', (segments) => {
    const made = checkpoint(program, 'loss', segments)
    expect(ordered(made)).toBe(true)
    expect(made.ops.some(({ op }) => op === 'Barrier')).toBe(true)
    expect(evaluateProgram(made, feeds, { float32: true })).toEqual(expected)
    expect(peakActivationBytes(made)).toBeLessThan(peakActivationBytes(program))
  })

  it('fits a budget with no more segments than that takes', () => {
    const plain = peakActivationBytes(program)
    expect(checkpointToFit(program, 'loss', plain)).toEqual({ program, segments: 1, peak_bytes: plain })
    const two = peakActivationBytes(checkpoint(program, 'loss', 2))
    const fitted = checkpointToFit(program, 'loss', two)
    expect([fitted.segments, fitted.peak_bytes]).toEqual([2, two])
    const least = checkpointToFit(program, 'loss', 0)
    expect(least.peak_bytes).toBeLessThanOrEqual(two)
    expect(peakActivationBytes(least.program)).toBe(least.peak_bytes)
  })
})

it('twelve layers take a quarter of the memory, and no layer is cut inside', () => {
  const shape = { batch: 2, sequence: 64, layers: 12, hidden: 16, heads: 4, key_heads: 2, intermediate: 64, vocab: 40 }
  const program = trainingProgram(llamaProgram(shape), { label_length: 2, gradient_lengths: { inputs_embeds: 4 } })
  const { peak_bytes, program: made, segments } = checkpointToFit(program, 'loss', peakActivationBytes(program) / 4)
  expect(peak_bytes).toBeLessThanOrEqual(peakActivationBytes(program) / 4)
  expect(segments).toBeLessThan(8)
  // What is read again at the start of a segment is the residual stream alone.
  const kept = made.ops.filter(({ op }) => op === 'Barrier').map(({ inputs }) => made.values.get(inputs[0] ?? '')?.dims)
  expect(kept.length).toBe(segments - 1)
  for (const dims of kept) expect(dims).toEqual([2, 64, 16])
})

it('any chain of ops with skips keeps its gradients', () => {
  const step = fc.record({ op: fc.constantFrom('Tanh', 'Sigmoid', 'Exp', 'add', 'mul'), back: fc.nat(4) })
  fc.assert(
    fc.property(fc.array(step, { minLength: 4, maxLength: 24 }), fc.integer({ min: 2, max: 8 }), (steps, segments) => {
      const builder = programWith({ x: [3] })
      const values = ['x']
      for (const { op, back } of steps) {
        const [last = 'x', other = 'x'] = [values.at(-1), values.at(-1 - back)]
        const next = op === 'add' ? builder.add(last, other) : op === 'mul' ? builder.mul(last, other) : null
        // Sigmoid in between keeps repeated Exp and products finite.
        values.push(
          builder.unary('Sigmoid', next ?? builder.unary(op === 'Exp' ? 'Exp' : op === 'Tanh' ? 'Tanh' : 'Sigmoid', last)),
        )
      }
      builder.outputAs(values.at(-1) ?? 'x', 'y')
      const seed = builder.input('dy', { dtype: 'float32', dims: [3] })
      const forward = builder.finish(['y'])
      const program = differentiate(forward, { seeds: new Map([['y', seed]]), wrt: new Map([['x', 'dx']]) })
      const made = checkpoint(program, 'y', segments)
      const feeds = noiseFor(program, 7)
      expect(ordered(made)).toBe(true)
      expect(evaluateProgram(made, feeds)).toEqual(evaluateProgram(program, feeds))
    }),
    { numRuns: 60 },
  )
})

it('says which value is no turn', () => {
  expect(() => checkpoint(programs[0]?.[1]() ?? seq2seq(), 'nowhere', 2)).toThrow("no op of the program makes 'nowhere'")
})
