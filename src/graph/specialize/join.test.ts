/** Joined programs compute what one after the other does; a joined T5 gives onnxruntime's logits, and its gradients are those of the loss. */
import { describe, expect, it } from 'vitest'
import { evaluateProgram } from '../../../test/support/evaluate-program'
import { programWith } from '../../../test/support/gradient-check'
import { at } from '../../../test/support/nd'
import { seeded } from '../../../test/support/op-case'
import { loadSeq2Seq, referenceSeq2SeqLogits, SEQ2SEQ_FIXTURES } from '../../../test/support/seq2seq'
import { readEmbeddingRows } from '../embedding'
import { fuse } from '../fuse'
import { GraphError } from '../ir'
import { trainingProgram } from '../objective'
import type { Program } from '../program'
import { specializeSeq2Seq } from '../specialize'
import { fromFloat32 } from '../tensor'
import { joinHostPlans, type HostPlan } from './host-plan'
import { joinPrograms } from './join'

describe('joinPrograms', () => {
  /** out = unary(input * weight), with the same names inside whatever it computes. */
  function part(input: string, out: string, weight: Float32Array, op: 'Tanh' | 'Exp', rows = 2): Program {
    const builder = programWith({ [input]: [rows, 3] })
    const w = builder.constant(fromFloat32([3], weight))
    const scaled = builder.emit({ op: 'Mul', name: 'scaled', inputs: [input, w], attrs: {} })
    builder.emit({ op, name: 'out', inputs: [scaled], attrs: {} }, out)
    return builder.finish([out])
  }
  const first = part('x', 'seam', Float32Array.of(1, 2, 3), 'Tanh')
  const second = part('seam', 'y', Float32Array.of(-1, 0.5, 0.25), 'Exp')
  const x = [0.1, -0.2, 0.3, 0.4, 0.5, -0.6]

  it('is the second of the first, though both use the same names', () => {
    const { program, renamed } = joinPrograms(first, second, 'seam')
    const shared = [...first.values.keys()].filter((name) => name !== 'seam' && second.values.has(name))
    expect(shared.length).toBeGreaterThan(0)
    for (const name of shared) expect(renamed(name)).toBe(`encoder/${name}`)
    expect([program.inputs, program.outputs]).toEqual([['x'], ['y']])
    const seam = evaluateProgram(first, new Map([['x', x]])).get('seam')
    const expected = evaluateProgram(second, new Map([['seam', seam?.data ?? []]])).get('y')
    expect(evaluateProgram(program, new Map([['x', x]])).get('y')).toEqual(expected)
  })

  it('leaves constants the objects they are', () => {
    const { program } = joinPrograms(first, second, 'seam')
    const kept = [...program.constants.values()]
    for (const tensor of [...first.constants.values(), ...second.constants.values()]) expect(kept).toContain(tensor)
  })

  it('finds a free name where the obvious one is taken', () => {
    const own = (program: Program, name: string): Program => ({
      ...program,
      inputs: program.inputs.map((input) => (input === 'x' ? name : input)),
      ops: program.ops.map((op) => ({ ...op, inputs: op.inputs.map((input) => (input === 'x' ? name : input)) })),
      values: new Map([...program.values].map(([key, type]) => [key === 'x' ? name : key, type])),
    })
    const both: Program = {
      ...second,
      inputs: [...second.inputs, 'z', 'encoder/z'],
      values: new Map([...second.values, ['z', { dtype: 'float32', dims: [1] }], ['encoder/z', { dtype: 'float32', dims: [1] }]]),
    }
    const { program, renamed } = joinPrograms(own(first, 'z'), both, 'seam')
    expect(renamed('z')).toBe('encoder/z~')
    expect(program.inputs).toEqual(['encoder/z~', 'z', 'encoder/z'])
  })

  it('refuses what does not meet at the seam', () => {
    const refused = (a: Program, b: Program, message: RegExp) => {
      expect(() => joinPrograms(a, b, 'seam')).toThrow(GraphError)
      expect(() => joinPrograms(a, b, 'seam')).toThrow(message)
    }
    refused(first, part('seam', 'y', new Float32Array(3), 'Exp', 4), /'seam' does not join.*\[2, 3\] and \[4, 3\]/)
    refused(first, part('x', 'y', new Float32Array(3), 'Exp'), /\[2, 3\] and none/)
    refused(part('x', 'other', new Float32Array(3), 'Exp'), second, /none and \[2, 3\]/)
  })
})

it('joined host plans read one mask, and feed what the first computes under its new name', () => {
  const plan = (factor: number, ...inputs: string[]): HostPlan => ({
    inputs,
    run: ({ attention_mask }) => new Map(inputs.map((name) => [name, attention_mask.map((x) => factor * x)])),
  })
  const joined = joinHostPlans(plan(2, 'mask', 'own'), plan(3, 'mask'), (name) => (name === 'mask' ? 'encoder/mask' : name))
  expect(joined.inputs).toEqual(['encoder/mask', 'own', 'mask'])
  expect(joined.run({ attention_mask: Int32Array.of(1, 0) })).toEqual(
    new Map([
      ['encoder/mask', Int32Array.of(2, 0)],
      ['own', Int32Array.of(2, 0)],
      ['mask', Int32Array.of(3, 0)],
    ]),
  )
})

const B = 3
const E = 7
const S = 4
const L = 2
/** Masked positions at the end of each row of the encoder. */
const PADS = [0, 1, 3]

/** The joined program of a fixture, and a padded batch. */
function joined(name: (typeof SEQ2SEQ_FIXTURES)[number]) {
  const fixture = loadSeq2Seq(name)
  const { cut } = fixture
  const mask = Array.from({ length: B * E }, (_, i) => Number(i % E < E - (PADS[Math.floor(i / E)] ?? 0)))
  const ids = Array.from({ length: B * E }, (_, i) => (i * 37 + 11) % cut.vocab_size)
  const decoder = Array.from({ length: B * S }, (_, i) => (i % S === 0 ? 0 : (i * 29 + 5) % cut.vocab_size))
  const key = { batch_size: B, sequence_length: S, encoder_length: E, simulate_rounding: false }
  const { program, host } = specializeSeq2Seq(cut, key)
  const feeds = new Map<string, ArrayLike<number>>([
    ['inputs_embeds', readEmbeddingRows(cut.decoder.embedding, decoder)],
    ['encoder_inputs_embeds', readEmbeddingRows(cut.encoder.embedding, ids)],
    ...host.run({ attention_mask: Int32Array.from(mask) }),
  ])
  return { fixture, input: { batch: B, ids, mask, decoder }, program, host, feeds }
}

describe.each(SEQ2SEQ_FIXTURES)('%s joined', (name) => {
  const { fixture, input, program, host, feeds } = joined(name)
  const H = fixture.cut.hidden_size
  const forms = [
    ['unfused', program],
    ['fused', fuse(program)],
  ] as const

  it.each(forms)('logits of onnxruntime with padded rows, %s', async (_, form) => {
    expect([...form.inputs].sort()).toEqual([...new Set(['encoder_inputs_embeds', 'inputs_embeds', ...host.inputs])].sort())
    const expected = await referenceSeq2SeqLogits(fixture, input)
    const logits = evaluateProgram(form, feeds).get('logits')
    expect(logits?.dims).toEqual([B, S, fixture.cut.decoder.vocab_size])
    const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - at(logits?.data ?? [], i))), 0)
    // onnxruntime works in float32, logits are around 1.
    expect(worst).toBeLessThan(2e-5)
  })

  it('what stands over padding says nothing', () => {
    const padded = Float64Array.from(feeds.get('encoder_inputs_embeds') ?? [])
    input.mask.forEach((one, position) => {
      if (one === 0) padded.fill(7, position * H, (position + 1) * H)
    })
    const clean = evaluateProgram(program, feeds).get('logits')?.data ?? []
    const dirty = evaluateProgram(program, new Map([...feeds, ['encoder_inputs_embeds', padded]])).get('logits')?.data ?? []
    expect(dirty).toEqual(clean)
    // It is the mask that hides it.
    const seen = new Map([...feeds, ...host.run({ attention_mask: new Int32Array(B * E).fill(1) })])
    expect(evaluateProgram(program, seen).get('logits')?.data).not.toEqual(clean)
  })

  it.each(forms)('gradients of both inputs are those of finite differences, %s', (_, form) => {
    const P = { inputs_embeds: 2, encoder_inputs_embeds: 3 }
    const training = trainingProgram(form, { label_length: L, gradient_lengths: P })
    expect(training.outputs).toEqual(['loss', 'd_inputs_embeds', 'd_encoder_inputs_embeds'])
    const labelled = new Map<string, ArrayLike<number>>([
      ...feeds,
      ['label_positions', [0, 1, 1, 3, 2, 0]],
      ['label_ids', [3, 9, 12, 1, 30, 0]],
      ['label_weights', [0.25, 0.25, 0.125, 0.25, 0.125, 0]],
    ])
    const result = evaluateProgram(training, labelled)
    const loss = (moved: ReadonlyMap<string, ArrayLike<number>>) =>
      at(evaluateProgram(training, new Map([...labelled, ...moved]), { outputs: ['loss'] }).get('loss')?.data ?? [], 0)
    const next = seeded(3)
    /** A random direction within the first P positions of every row, and the gradient's part along it. */
    const along = (stack: keyof typeof P, length: number) => {
      const gradient = result.get(`d_${stack}`)
      expect(gradient?.dims).toEqual([B, P[stack], H])
      const direction = new Float64Array(B * length * H)
      let slope = 0
      for (let b = 0; b < B; b++) {
        for (let i = 0; i < P[stack] * H; i++) {
          const v = next() - 0.5
          direction[b * length * H + i] = v
          slope += v * at(gradient?.data ?? [], b * P[stack] * H + i)
        }
      }
      const at0 = feeds.get(stack) ?? []
      const moved = (h: number) => [stack, direction.map((v, i) => at(at0, i) + h * v)] as const
      return { slope, moved }
    }
    const h = 1e-5
    for (let round = 0; round < 3; round++) {
      const [ours, theirs] = [along('inputs_embeds', S), along('encoder_inputs_embeds', E)]
      for (const moves of [[ours], [theirs], [ours, theirs]]) {
        const [up, down] = [h, -h].map((step) => loss(new Map(moves.map(({ moved }) => moved(step)))))
        const slope = moves.reduce((sum, move) => sum + move.slope, 0)
        expect(Math.abs(slope)).toBeGreaterThan(1e-4)
        expect(Math.abs(((up ?? NaN) - (down ?? NaN)) / (2 * h) - slope)).toBeLessThan(1e-6 * Math.max(1, Math.abs(slope)))
      }
    }
  })

  it('a gradient of one input alone is the same', () => {
    const shape = { label_length: L, gradient_lengths: { inputs_embeds: 2, encoder_inputs_embeds: 3 } }
    const labelled = new Map<string, ArrayLike<number>>([
      ...feeds,
      ['label_positions', [0, 1, 1, 3, 2, 0]],
      ['label_ids', [3, 9, 12, 1, 30, 0]],
      ['label_weights', [0.25, 0.25, 0.125, 0.25, 0.125, 0]],
    ])
    const both = evaluateProgram(trainingProgram(fuse(program), shape), labelled)
    for (const input of ['inputs_embeds', 'encoder_inputs_embeds'] as const) {
      const gradient_lengths = { [input]: shape.gradient_lengths[input] }
      const alone = trainingProgram(fuse(program), { label_length: L, gradient_lengths })
      expect(alone.outputs).toEqual(['loss', `d_${input}`])
      const one = evaluateProgram(alone, labelled).get(`d_${input}`)
      one?.data.forEach((x, i) => expect(x).toBeCloseTo(at(both.get(`d_${input}`)?.data ?? [], i), 12))
    }
  })
})

it('a gradient of more positions than the encoder has is refused', () => {
  const { program } = joined('t5 of peft')
  const ask = (length: number) => () =>
    trainingProgram(program, { label_length: 1, gradient_lengths: { encoder_inputs_embeds: length } })
  expect(ask(E + 1)).toThrow(/gradient_length of encoder_inputs_embeds is 8; it has to be 1 to 7/)
  expect(ask(0)).toThrow(/is 0/)
})
