/** Objectives of a small transformer: label rows give the numbers of the full logits, for less work; and what is refused. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { evaluateProgram } from '../../test/support/evaluate-program'
import { noiseFor, numericGradient, programWith, relativeError } from '../../test/support/gradient-check'
import { at, nd, type Nd } from '../../test/support/nd'
import { fuse } from './fuse'
import { referenceProgram, scoreProgram, trainingProgram } from './objective'
import type { Program } from './program'
import type { ProgramBuilder } from './rewrite'
import { restrictRows } from './restrict-rows'
import { fromFloat32, fromIntegers } from './tensor'

const [B, S, H, V] = [2, 5, 4, 7]
/** The same float64 sums in another order. */
const TOLERANCE = 1e-9

function weights(b: ProgramBuilder) {
  let seed = 0
  return (...dims: number[]) => {
    const noise = noiseFor(programWith({ w: dims }).finish([]), ++seed * 7919).get('w') ?? []
    return b.constant(fromFloat32(dims, Float32Array.from(noise)))
  }
}

interface Style {
  /** Linear layers on [B*S, K], as Gemm exports have them. */
  readonly flat?: boolean
  /** Linear layers and head as DynamicQuantizedMatMul with rounding. */
  readonly quantized?: boolean
  readonly softcap?: boolean
}

/** Two layers of norm, attention, residual, norm, MLP, residual; then a norm and the head. Plain ops throughout. */
function transformer({ flat = false, quantized = false, softcap = false }: Style = {}): Program {
  const b = programWith({ inputs_embeds: [B, S, H], mask: [B, 1, 1, S] })
  const weight = weights(b)
  const product = (x: string, k: number, n: number) => {
    if (!quantized) return b.matMul(x, weight(k, n))
    const w = b.constant(
      fromIntegers(
        'int8',
        [k, n],
        Array.from({ length: k * n }, (_, i) => ((i * 37) % 255) - 127),
      ),
    )
    const inputs = [x, w, b.constant(fromFloat32([1], Float32Array.of(0.01))), b.constant(fromIntegers('int8', [1], [3]))]
    return b.emit({ op: 'DynamicQuantizedMatMul', name: b.label, inputs, attrs: { simulate_rounding: true } })
  }
  const linear = (x: string, k: number, n: number) => {
    const y = b.add(product(flat ? b.reshape(x, [B * S, k]) : x, k, n), weight(n))
    return b.reshape(y, [B, S, n])
  }
  const norm = (x: string) => {
    const mean = b.emit({ op: 'ReduceMean', name: 'mean', inputs: [b.mul(x, x)], attrs: { axes: [2], keepdims: true } })
    return b.mul(b.div(x, b.unary('Sqrt', b.add(mean, b.scalar(1e-5)))), weight(H))
  }
  const heads = (x: string) => b.transpose(b.reshape(x, [B, S, 2, H / 2]), [0, 2, 1, 3])
  let x = 'inputs_embeds'
  for (const layer of ['0', '1']) {
    b.label = `/layers.${layer}`
    const qkv = linear(norm(x), H, 3 * H)
    const [q, k, v] = [0, 1, 2].map((i) => heads(b.slice(qkv, 2, i * H, (i + 1) * H)))
    const scores = b.add(b.matMul(q ?? '', b.transpose(k ?? '', [0, 1, 3, 2])), 'mask')
    const p = b.emit({ op: 'Softmax', name: 'softmax', inputs: [scores], attrs: { axis: 3 } })
    const merged = b.reshape(b.transpose(b.matMul(p, v ?? ''), [0, 2, 1, 3]), [B, S, H])
    x = b.add(x, linear(merged, H, H))
    const up = linear(norm(x), H, 2 * H)
    x = b.add(x, linear(b.mul(up, b.unary('Sigmoid', up)), 2 * H, H))
  }
  b.label = '/head'
  const logits = product(norm(x), H, V)
  b.outputAs(softcap ? b.scale(b.unary('Tanh', b.scale(logits, 0.5)), 2) : logits, 'logits')
  return b.finish(['logits'])
}

const labels = (L: number, seed: number) => {
  const pick = (limit: number, salt: number) =>
    Float64Array.from({ length: B * L }, (_, i) => Math.abs(Math.imul(seed + salt, i + 1)) % limit)
  const weight = Float64Array.from({ length: B * L }, (_, i) => (i % 3 === 2 ? 0 : 0.25 + (i % 2)))
  return { label_positions: pick(S, 11), label_ids: pick(V, 5), label_weights: weight }
}

/** Loss and gradient through full logits, in the training program's terms. */
function expectedFrom(
  forward: Program,
  feeds: ReadonlyMap<string, ArrayLike<number>>,
  L: number,
  given: ReturnType<typeof labels>,
) {
  const target = new Float64Array(B * S * V)
  for (let i = 0; i < B * L; i++) {
    const row = Math.floor(i / L) * S + at(given.label_positions, i)
    const slot = row * V + at(given.label_ids, i)
    target[slot] = at(target, slot) - at(given.label_weights, i)
  }
  return evaluateProgram(referenceProgram(forward), new Map([...feeds, ['target_weights', target]]))
}

function firstPositions(x: Nd | undefined, P: number): Nd {
  if (!x) throw new Error('nothing')
  const rows = Array.from({ length: B }, (_, b) => [...x.data.subarray(b * S * H, (b * S + P) * H)])
  return nd([B, P, H], rows.flat())
}

const styles: [string, Style][] = [
  ['3-D linear layers', {}],
  ['flat linear layers', { flat: true }],
  ['softcap', { softcap: true }],
]

describe('trainingProgram', () => {
  it.each(styles)('equals the full-logits loss and gradient, fused or not: %s', (_, style) => {
    for (const forward of [transformer(style), fuse(transformer(style))]) {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: S }), fc.nat(1000), (L, P, seed) => {
          const given = labels(L, seed)
          const feeds = noiseFor(forward, seed)
          const expected = expectedFrom(forward, feeds, L, given)
          const program = trainingProgram(forward, { label_length: L, gradient_lengths: { inputs_embeds: P } })
          expect(program.outputs).toEqual(['loss', 'd_inputs_embeds'])
          const actual = evaluateProgram(program, new Map([...feeds, ...Object.entries(given)]))
          expect(relativeError(actual.get('loss'), expected.get('loss'))).toBeLessThan(TOLERANCE)
          expect(relativeError(actual.get('d_inputs_embeds'), firstPositions(expected.get('d_inputs_embeds'), P))).toBeLessThan(
            TOLERANCE,
          )
        }),
        { numRuns: 6 },
      )
    }
  })

  it('fused and unfused agree, and with central differences', () => {
    const forward = transformer({ flat: true })
    const feeds = new Map<string, ArrayLike<number>>([...noiseFor(forward, 3), ...Object.entries(labels(3, 2))])
    const shape = { label_length: 3, gradient_lengths: { inputs_embeds: S } }
    const [plain, fused] = [trainingProgram(forward, shape), trainingProgram(fuse(forward), shape)]
    const gradient = evaluateProgram(plain, feeds).get('d_inputs_embeds')
    expect(relativeError(evaluateProgram(fused, feeds).get('d_inputs_embeds'), gradient)).toBeLessThan(1e-6)
    const numeric = numericGradient(plain, new Map([...feeds, ['dy', [1]]]), 'loss', 'inputs_embeds')
    expect(relativeError(gradient, numeric)).toBeLessThan(1e-6)
  })

  it.each(styles)('computes logits, and the last MLP, at label rows only: %s', (_, style) => {
    const L = 2
    const program = trainingProgram(fuse(transformer(style)), { label_length: L, gradient_lengths: { inputs_embeds: 1 } })
    const dims = program.ops.flatMap((op) => op.outputs.map((name) => program.values.get(name)?.dims ?? []))
    expect(dims.some((shape) => shape.at(-1) === V && shape.includes(S))).toBe(false)
    // Of the two MLPs, one is as wide as the sequence (forward, and its gradient), the other as the labels.
    const wide = program.ops.filter((op) => op.op === 'Silu').map((op) => program.values.get(op.outputs[0] ?? '')?.dims)
    expect(wide).toEqual([
      [B, S, 2 * H],
      [B, L, 2 * H],
    ])
    // The residual stream and the attention output, each once.
    expect(program.ops.filter(({ op }) => op === 'GatherRows')).toHaveLength(2)
    expect(program.ops.filter(({ op }) => op === 'GatherRowsGrad')).toHaveLength(2)
    expect(program.ops.at(-1)?.outputs).toEqual(['d_inputs_embeds'])
  })

  it('takes the first positions before the last steps of the gradient', () => {
    const program = trainingProgram(fuse(transformer()), { label_length: 2, gradient_lengths: { inputs_embeds: 1 } })
    const last = program.ops.filter(({ op }) => op === 'RMSNormGrad').at(-1)
    expect(program.values.get(last?.outputs[0] ?? '')?.dims).toEqual([B, 1, H])
  })

  it('q8 with rounding: the head moves, layers before it keep all rows; only the gradient of what depends is made', () => {
    const forward = fuse(transformer({ quantized: true }))
    const program = trainingProgram(forward, { label_length: 2, gradient_lengths: { inputs_embeds: 2 } })
    const products = program.ops
      .filter(({ op }) => op === 'DynamicQuantizedMatMul')
      .map((op) => program.values.get(op.outputs[0] ?? '')?.dims)
    expect(products.filter((dims) => dims?.[1] === 2)).toEqual([[B, 2, V]])
    expect(products).toHaveLength(9)
    expect(program.ops.filter(({ op }) => op === 'DynamicQuantizedMatMulGrad')).toHaveLength(9)
    expect(program.ops.filter(({ op }) => op === 'GatherRows')).toHaveLength(1)
  })

  it('computes nothing for weights', () => {
    const program = trainingProgram(transformer(), { label_length: 2, gradient_lengths: { inputs_embeds: S } })
    for (const op of program.ops) {
      if (op.op === 'MatMul') expect(op.attrs.transA && program.constants.has(op.inputs[1] ?? '')).toBe(false)
    }
    const forward = transformer()
    const shared = [...program.constants.values()].filter((tensor) => tensor.dims.length === 2)
    expect(shared.map(({ dims }) => dims)).toEqual(
      [...forward.constants.values()].map(({ dims }) => dims).filter(({ length }) => length === 2),
    )
  })
})

describe('scoreProgram', () => {
  it('gives the log probability of each label and the most likely token', () => {
    const forward = transformer()
    const L = 4
    const given = labels(L, 17)
    const feeds = noiseFor(forward, 5)
    const logits = evaluateProgram(forward, feeds).get('logits')
    const program = scoreProgram(fuse(forward), { label_length: L })
    const scores = evaluateProgram(program, new Map([...feeds, ...Object.entries(given)]))
    expect(program.values.get('greedy_ids')?.dtype).toBe('int32')
    for (let i = 0; i < B * L; i++) {
      const start = (Math.floor(i / L) * S + at(given.label_positions, i)) * V
      const row = [...(logits?.data.subarray(start, start + V) ?? [])]
      const total = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))
      expect(scores.get('log_probabilities')?.data[i]).toBeCloseTo(at(row, at(given.label_ids, i)) - total, 6)
      expect(scores.get('greedy_ids')?.data[i]).toBe(row.indexOf(Math.max(...row)))
    }
  })
})

describe('restrictRows', () => {
  const X = 'inputs_embeds'
  /** Row-wise or not, each step takes [B,S,H] to [B,S,H]. */
  const steps: ((b: ProgramBuilder, x: string) => string)[] = [
    (b, x) => b.unary('Tanh', x),
    (b, x) => b.add(x, X),
    (b, x) => b.mul(x, b.constant(fromFloat32([H], Float32Array.of(1, 2, 3, 4)))),
    (b, x) =>
      b.add(
        x,
        b.constant(
          fromFloat32(
            [S, H],
            Float32Array.from({ length: S * H }, (_, i) => i),
          ),
        ),
      ),
    (b, x) =>
      b.add(
        x,
        b.constant(
          fromFloat32(
            [B, S, 1],
            Float32Array.from({ length: B * S }, (_, i) => i),
          ),
        ),
      ),
    (b, x) =>
      b.matMul(
        x,
        b.constant(
          fromFloat32(
            [H, H],
            Float32Array.from({ length: H * H }, (_, i) => i % 3),
          ),
        ),
      ),
    (b, x) => b.div(x, b.add(b.reduceSum(b.mul(x, x), [2], true), b.scalar(1))),
    (b, x) => b.sub(x, b.reduceSum(x, [1], true)),
    (b, x) => b.concat([b.slice(x, 2, 1, H), b.slice(x, 2, 0, 1)], 2),
    (b, x) => b.concat([b.slice(x, 1, 1, S), b.slice(x, 1, 0, 1)], 1),
    (b, x) => b.emit({ op: 'Softmax', name: 's', inputs: [x], attrs: { axis: 2 } }),
    (b, x) => b.emit({ op: 'Softmax', name: 's', inputs: [x], attrs: { axis: 1 } }),
    (b, x) => b.reshape(b.unary('Cos', b.reshape(x, [B * S, H])), [B, S, H]),
    (b, x) => b.reshape(b.unary('Sin', b.reshape(x, [S, B, H])), [B, S, H]),
    (b, x) => b.where(b.binary('Greater', x, b.scalar(0)), x, b.scalar(0)),
    (b, x) => b.matMul(b.matMul(x, x, false, true), x),
    (b, x) => b.pad(b.slice(x, 2, 0, 2), 2, 1, 1),
  ]
  it('never changes a number, whatever comes before the rows', () => {
    const chains = fc.array(fc.nat(steps.length - 1), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(chains, fc.nat(1000), (chain, seed) => {
        const b = programWith({ [X]: [B, S, H] })
        b.outputAs(chain.reduce((x, step) => at2(steps, step)(b, x), X), 'y') // prettier-ignore
        const whole = b.finish(['y'])
        const positions = [4, 0, 0, 2, 3, 3]
        const select = (into: ProgramBuilder, x: string) => {
          const rows = into.constant(fromIntegers('int32', [B, 3], positions))
          return into.emit({ op: 'GatherRows', name: 'rows', inputs: [x, rows], attrs: {} })
        }
        const { builder, value } = restrictRows({ ...whole, outputs: [] }, 'y', { rows: 3, select })
        const fewer = builder.finish([value])
        const feeds = noiseFor(whole, seed)
        const y = evaluateProgram(whole, feeds).get('y')
        const expected = positions.flatMap((row, i) => {
          const start = (Math.floor(i / 3) * S + row) * H
          return [...(y?.data.subarray(start, start + H) ?? [])]
        })
        expect(relativeError(evaluateProgram(fewer, feeds).get(value), nd([B, 3, H], expected))).toBeLessThan(TOLERANCE)
      }),
      { numRuns: 200 },
    )
  })
})
function at2<T>(list: readonly T[], i: number): T {
  const item = list[i]
  if (item === undefined) throw new Error(`nothing at ${i}`)
  return item
}

describe('what is refused', () => {
  const forward = transformer()
  it('lengths that are not possible', () => {
    expect(() => trainingProgram(forward, { label_length: 0, gradient_lengths: { inputs_embeds: 1 } })).toThrow(
      /label_length is 0/,
    )
    expect(() => trainingProgram(forward, { label_length: 1, gradient_lengths: { inputs_embeds: S + 1 } })).toThrow(/1 to 5/)
    expect(() => scoreProgram(forward, { label_length: 1.5 })).toThrow(/label_length/)
  })
  it('programs without logits or inputs_embeds, or with names taken', () => {
    expect(() => scoreProgram({ ...forward, outputs: [] }, { label_length: 1 })).toThrow(/no output logits/)
    const b = programWith({ inputs_embeds: [B, S, H], label_positions: [1] })
    b.outputAs(b.unary('Tanh', 'inputs_embeds'), 'logits')
    expect(() => scoreProgram(b.finish(['logits']), { label_length: 1 })).toThrow(/already has a value 'label_positions'/)
    const last = programWith({ inputs_embeds: [B, S, H] })
    last.outputAs(last.slice('inputs_embeds', 1, S - 1, S), 'logits')
    expect(() => referenceProgram(last.finish(['logits']))).toThrow(/not for every position/)
  })
  it('a model whose logits do not depend on its embeddings', () => {
    const b = programWith({ inputs_embeds: [B, S, H], other: [B, S, V] })
    b.outputAs(b.unary('Tanh', 'other'), 'logits')
    expect(() => trainingProgram(b.finish(['logits']), { label_length: 1, gradient_lengths: { inputs_embeds: 1 } })).toThrow(
      /no influence/,
    )
  })
})
