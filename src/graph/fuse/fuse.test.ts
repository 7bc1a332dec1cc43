/** Every fusion: found in the spellings exporters use, the same numbers and gradient with and without, and not found in near misses. */
import { describe, expect, it } from 'vitest'
import { evaluateProgram } from '../../../test/support/evaluate-program'
import { noiseFor, programWith, relativeError, withGradient } from '../../../test/support/gradient-check'
import { elementCount } from '../ir'
import type { OpName, Program } from '../program'
import type { ProgramBuilder } from '../rewrite'
import { fromFloat32, fromIntegers } from '../tensor'
import { fuse, fusionReport } from './index'

const X = 'inputs_embeds'
/** float64 throughout; what differs is the order of operations, and constants rounded to float32 in the plain spelling. */
const TOLERANCE = 1e-6

const count = (program: Program, op: OpName) => program.ops.filter((other) => other.op === op).length

/** A constant of seeded numbers in (0.5, 1.5). */
function weight(b: ProgramBuilder, dims: readonly number[], seed = 1): string {
  const noise = noiseFor(programWith({ w: dims }).finish([]), seed).get('w') ?? []
  return b.constant(
    fromFloat32(
      dims,
      Float32Array.from(noise, (x) => 1 + x / 2),
    ),
  )
}

function build(
  dims: readonly number[],
  body: (b: ProgramBuilder) => string,
  others: Record<string, readonly number[]> = {},
): Program {
  const b = programWith({ [X]: dims, ...others })
  b.outputAs(body(b), 'y')
  return b.finish(['y'])
}

/** Fused to exactly these ops (in any order), with the same output and gradient. */
function expectFused(program: Program, ...ops: OpName[]): void {
  const fused = fuse(program)
  expect(fused.ops.map(({ op }) => op).sort()).toEqual([...ops].sort())
  expectSame(program, fused)
}

function expectSame(program: Program, fused: Program): void {
  const [plain, composite] = [withGradient(program, 'y', X), withGradient(fused, 'y', X)]
  const feeds = noiseFor(plain, 7)
  const [expected, actual] = [evaluateProgram(plain, feeds), evaluateProgram(composite, feeds)]
  expect(relativeError(actual.get('y'), expected.get('y'))).toBeLessThan(TOLERANCE)
  expect(relativeError(actual.get('dx'), expected.get('dx'))).toBeLessThan(TOLERANCE)
}

/** Left without the composite, and still right. */
function expectNotFused(program: Program, composite: OpName): void {
  const fused = fuse(program)
  expect(count(fused, composite)).toBe(0)
  expectSame(program, fused)
}

const mean = (b: ProgramBuilder, x: string, axis = 2, keepdims = true) =>
  b.emit({ op: 'ReduceMean', name: 'mean', inputs: [x], attrs: { axes: [axis], keepdims } })
const pow = (b: ProgramBuilder, x: string, exponent: number) => b.binary('Pow', x, b.scalar(exponent))
const plus = (b: ProgramBuilder, x: string, number: number) => b.add(x, b.scalar(number))
const times = (b: ProgramBuilder, x: string, number: number) => b.mul(x, b.scalar(number))

describe('norms', () => {
  const dims = [2, 3, 8]
  const squares = { pow: (b: ProgramBuilder, x: string) => pow(b, x, 2), mul: (b: ProgramBuilder, x: string) => b.mul(x, x) }
  const quotients = {
    div: (b: ProgramBuilder, x: string, v: string) => b.div(x, b.unary('Sqrt', v)),
    'mul by 1/sqrt': (b: ProgramBuilder, x: string, v: string) => b.mul(x, b.div(b.scalar(1), b.unary('Sqrt', v))),
    'reciprocal first': (b: ProgramBuilder, x: string, v: string) => b.mul(b.unary('Reciprocal', b.unary('Sqrt', v)), x),
    'pow -0.5': (b: ProgramBuilder, x: string, v: string) => b.mul(x, pow(b, v, -0.5)),
    'div by pow 0.5': (b: ProgramBuilder, x: string, v: string) => b.div(x, pow(b, v, 0.5)),
  }
  const spellings = Object.entries(squares).flatMap(([s, square]) =>
    Object.entries(quotients).map(([q, quotient]) => [`${s}, ${q}`, square, quotient] as const),
  )

  it.each(spellings)('LayerNorm (%s)', (_, square, quotient) => {
    const program = build(dims, (b) => {
      const centred = b.sub(X, mean(b, X))
      const normal = quotient(b, centred, plus(b, mean(b, square(b, centred)), 1e-3))
      return b.add(weight(b, [1, 1, 8]), b.mul(weight(b, [8], 2), normal))
    })
    expectFused(program, 'LayerNorm')
  })

  it.each(spellings)('RMSNorm (%s)', (_, square, quotient) => {
    const program = build(dims, (b) => b.mul(weight(b, [8]), quotient(b, X, plus(b, mean(b, square(b, X)), 1e-3))))
    expectFused(program, 'RMSNorm')
  })

  it('LayerNorm with the subtraction written twice', () => {
    const program = build(dims, (b) => {
      const variance = mean(b, pow(b, b.sub(X, mean(b, X)), 2))
      return b.add(
        b.mul(b.div(b.sub(X, mean(b, X)), b.unary('Sqrt', plus(b, variance, 1e-3))), weight(b, [8])),
        weight(b, [8], 2),
      )
    })
    expectFused(program, 'LayerNorm')
  })

  const rms = (
    b: ProgramBuilder,
    change: { axis?: number; keepdims?: boolean; power?: number; scale?: string; other?: string } = {},
  ) => {
    const average = mean(b, pow(b, change.other ?? X, change.power ?? 2), change.axis, change.keepdims)
    const normal = b.div(X, b.unary('Sqrt', plus(b, average, 2)))
    return change.scale === '' ? normal : b.mul(normal, change.scale ?? weight(b, [8]))
  }
  it.each<[string, (b: ProgramBuilder) => string]>([
    ['another axis', (b) => rms(b, { axis: 1 })],
    ['another power', (b) => rms(b, { power: 4 })],
    ['the norm of something else', (b) => rms(b, { other: b.unary('Tanh', X) })],
    ['a sum for the mean', (b) => {
      const sum = b.reduceSum(b.mul(X, X), [2], true)
      return b.mul(b.div(X, b.unary('Sqrt', plus(b, sum, 2))), weight(b, [8]))
    }],
  ])('not RMSNorm: %s', (_, body) => expectNotFused(build(dims, body), 'RMSNorm')) // prettier-ignore

  it('without scale or bias, or with a scale that is no vector, which then stays', () => {
    expectFused(build(dims, (b) => rms(b, { scale: '' })), 'RMSNorm') // prettier-ignore
    expectFused(build(dims, (b) => rms(b, { scale: weight(b, [3, 8]) })), 'RMSNorm', 'Mul') // prettier-ignore
    expectFused(build(dims, (b) => rms(b, { scale: X })), 'RMSNorm', 'Mul') // prettier-ignore
    const centred = (b: ProgramBuilder) => {
      const d = b.sub(X, mean(b, X))
      return b.div(d, b.unary('Sqrt', plus(b, mean(b, b.mul(d, d)), 1e-3)))
    }
    expectFused(build(dims, centred), 'LayerNorm')
    expectFused(build(dims, (b) => b.mul(centred(b), weight(b, [8]))), 'LayerNorm') // prettier-ignore
    expectFused(build(dims, (b) => b.add(centred(b), weight(b, [8]))), 'LayerNorm', 'Add') // prettier-ignore
  })

  it('not RMSNorm: a mean without its axis, which broadcasts along another', () => {
    expectNotFused(
      build([8, 8], (b) => {
        const average = b.emit({ op: 'ReduceMean', name: 'm', inputs: [b.mul(X, X)], attrs: { axes: [1], keepdims: false } })
        return b.mul(b.div(X, b.unary('Sqrt', plus(b, average, 2))), weight(b, [8]))
      }),
      'RMSNorm',
    )
  })

  it('not LayerNorm: centred by the mean of something else', () => {
    const program = build(dims, (b) => {
      const centred = b.sub(X, mean(b, b.unary('Tanh', X)))
      return b.add(
        b.mul(b.div(centred, b.unary('Sqrt', plus(b, mean(b, b.mul(centred, centred)), 1))), weight(b, [8])),
        weight(b, [8], 2),
      )
    })
    expectNotFused(program, 'LayerNorm')
  })
})

describe('activations', () => {
  const dims = [2, 3, 5]
  const erf = (b: ProgramBuilder, divisor = Math.SQRT2) => b.unary('Erf', b.div(X, b.scalar(divisor)))
  it.each<[string, (b: ProgramBuilder) => string]>([
    ['x * (1 + erf) * 0.5', (b) => times(b, b.mul(X, plus(b, erf(b), 1)), 0.5)],
    ['(x * 0.5) * (1 + erf)', (b) => b.mul(times(b, X, 0.5), b.add(b.scalar(1), erf(b)))],
    ['x * (0.5 * (1 + erf))', (b) => b.mul(times(b, plus(b, erf(b), 1), 0.5), X)],
    ['x * (1 + erf(x * 0.7071)) / 2', (b) => b.div(b.mul(X, plus(b, b.unary('Erf', times(b, X, Math.SQRT1_2)), 1)), b.scalar(2))],
    ['0.5 x + 0.5 x erf', (b) => b.add(times(b, X, 0.5), b.mul(times(b, X, 0.5), erf(b)))],
  ])('Gelu: %s', (_, body) => {
    expectFused(build(dims, body), 'Gelu')
    expect(fuse(build(dims, body)).ops[0]?.attrs).toEqual({ approximate: 'none' })
  })

  const root = Math.sqrt(2 / Math.PI)
  const cubes: Record<string, (b: ProgramBuilder) => string> = {
    'Pow 3': (b) => pow(b, X, 3),
    'x*x*x': (b) => b.mul(b.mul(X, X), X),
    'x*(x*x)': (b) => b.mul(X, b.mul(X, X)),
    'x*Pow 2': (b) => b.mul(X, pow(b, X, 2)),
  }
  const inners: Record<string, (b: ProgramBuilder, cube: string) => string> = {
    'root * (x + c x3)': (b, cube) => times(b, b.add(X, times(b, cube, 0.044715)), root),
    'root x + root c x3': (b, cube) => b.add(times(b, X, root), times(b, cube, 0.044715 * root)),
  }
  const outers: Record<string, (b: ProgramBuilder, t: string) => string> = {
    '(x/2)(1+t)': (b, t) => b.mul(times(b, X, 0.5), plus(b, t, 1)),
    '0.5 (x (1+t))': (b, t) => times(b, b.mul(plus(b, t, 1), X), 0.5),
  }
  const spellings = Object.entries(cubes).flatMap(([c, cube]) =>
    Object.entries(inners).flatMap(([i, inner]) =>
      Object.entries(outers).map(([o, outer]) => [`${c}; ${i}; ${o}`, cube, inner, outer] as const),
    ),
  )
  it.each(spellings)('Gelu tanh: %s', (_, cube, inner, outer) => {
    const program = build(dims, (b) => outer(b, b.unary('Tanh', inner(b, cube(b)))))
    expectFused(program, 'Gelu')
    expect(fuse(program).ops[0]?.attrs).toEqual({ approximate: 'tanh' })
  })

  it('Gelu tanh factored, x root (1 + c x x)', () => {
    const program = build(dims, (b) => {
      const factor = plus(b, b.mul(times(b, X, 0.044715), X), 1)
      return b.mul(times(b, X, 0.5), plus(b, b.unary('Tanh', b.mul(times(b, X, root), factor)), 1))
    })
    expectFused(program, 'Gelu')
  })

  it('Gelu of a product, and of a scaled value', () => {
    const of = (b: ProgramBuilder, x: string) =>
      times(b, b.mul(x, plus(b, b.unary('Erf', b.div(x, b.scalar(Math.SQRT2))), 1)), 0.5)
    expectFused(build(dims, (b) => of(b, b.mul(X, b.unary('Tanh', X)))), 'Tanh', 'Mul', 'Gelu') // prettier-ignore
    expectFused(build(dims, (b) => of(b, times(b, X, 3))), 'Mul', 'Gelu') // prettier-ignore
  })

  it.each<[string, (b: ProgramBuilder) => string]>([
    ['erf of x / 1.5', (b) => times(b, b.mul(X, plus(b, erf(b, 1.5), 1)), 0.5)],
    ['no half', (b) => b.mul(X, plus(b, erf(b), 1))],
    ['1.1 + erf', (b) => times(b, b.mul(X, plus(b, erf(b), 1.1)), 0.5)],
    ['times another value', (b) => times(b, b.mul(b.unary('Exp', X), plus(b, erf(b), 1)), 0.5)],
    [
      'cubic coefficient 0.05',
      (b) => outers['(x/2)(1+t)']?.(b, b.unary('Tanh', times(b, b.add(X, times(b, pow(b, X, 3), 0.05)), root))) ?? '',
    ],
    [
      'a fourth power',
      (b) => outers['(x/2)(1+t)']?.(b, b.unary('Tanh', times(b, b.add(X, times(b, pow(b, X, 4), 0.044715)), root))) ?? '',
    ],
  ])('not Gelu: %s', (_, body) => expectNotFused(build(dims, body), 'Gelu'))

  it('Silu in both orders, gated, and not for a scaled sigmoid', () => {
    expectFused(build(dims, (b) => b.mul(X, b.unary('Sigmoid', X))), 'Silu') // prettier-ignore
    expectFused(build(dims, (b) => b.mul(b.mul(b.unary('Sigmoid', X), X), b.unary('Tanh', X))), 'Silu', 'Tanh', 'Mul') // prettier-ignore
    expectNotFused(build(dims, (b) => b.mul(X, b.unary('Sigmoid', times(b, X, 1.702)))), 'Silu') // prettier-ignore
    expectNotFused(build(dims, (b) => b.mul(b.unary('Tanh', X), b.unary('Sigmoid', X))), 'Silu') // prettier-ignore
  })
})

describe('rotary embedding', () => {
  const dims = [2, 3, 4, 6]
  const half = (b: ProgramBuilder, x: string, size = 6, negateFirst = false) => {
    const [first, second] = [b.slice(x, 3, 0, size / 2), b.slice(x, 3, size / 2, size)]
    return b.concat(negateFirst ? [second, b.unary('Neg', first)] : [b.unary('Neg', second), first], 3)
  }
  const tables = { cos: [2, 1, 4, 6], sin: [2, 1, 4, 6] }
  it('in either order of operands, with fed and constant tables', () => {
    expectFused(build(dims, (b) => b.add(b.mul(X, 'cos'), b.mul(half(b, X), 'sin')), tables), 'RotaryEmbedding') // prettier-ignore
    expectFused(build(dims, (b) => b.add(b.mul('sin', half(b, X)), b.mul('cos', X)), tables), 'RotaryEmbedding') // prettier-ignore
    expectFused(build(dims, (b) => b.add(b.mul(X, weight(b, [4, 6])), b.mul(half(b, X), weight(b, [6])))), 'RotaryEmbedding') // prettier-ignore
  })
  it('of a part of the head (GPT-NeoX)', () => {
    const partial = { cos: [2, 1, 4, 4], sin: [2, 1, 4, 4] }
    const program = build(dims, (b) => {
      const [turned, passed] = [b.slice(X, 3, 0, 4), b.slice(X, 3, 4, 6)]
      return b.concat([b.add(b.mul(turned, 'cos'), b.mul(half(b, turned, 4), 'sin')), passed], 3)
    }, partial) // prettier-ignore
    expectFused(program, 'Slice', 'Slice', 'RotaryEmbedding', 'Concat')
  })
  it('not with the other half negated, unequal parts, another value rotated, or tables that depend on x', () => {
    const near: ((b: ProgramBuilder) => string)[] = [
      (b) => b.add(b.mul(X, 'cos'), b.mul(half(b, X, 6, true), 'sin')),
      (b) => b.add(b.mul(X, 'cos'), b.mul(b.concat([b.unary('Neg', b.slice(X, 3, 2, 6)), b.slice(X, 3, 0, 2)], 3), 'sin')),
      (b) => b.add(b.mul(X, 'cos'), b.mul(half(b, b.unary('Tanh', X)), 'sin')),
      (b) => b.add(b.mul(X, b.unary('Cos', X)), b.mul(half(b, X), 'sin')),
      (b) => b.sub(b.mul(X, 'cos'), b.mul(half(b, X), 'sin')),
    ]
    for (const body of near) expectNotFused(build(dims, body, tables), 'RotaryEmbedding')
  })
})

describe('attention', () => {
  const [B, N, S, D] = [2, 4, 3, 2]
  const minimum = -3.4028234663852886e38
  const softmax = (b: ProgramBuilder, x: string, axis = 3) =>
    b.emit({ op: 'Softmax', name: 'softmax', inputs: [x], attrs: { axis } })
  /** q, k, v [B,N,S,D] out of one input, so that the gradient passes through all three. */
  const heads = (b: ProgramBuilder, kvHeads = N) => {
    const q = b.unary('Sin', X)
    const kv = b.slice(X, 1, 0, kvHeads)
    return { q, k: times(b, b.unary('Cos', kv), 1.5), v: b.unary('Tanh', kv) }
  }
  const dims = [B, N, S, D]
  const causal = (b: ProgramBuilder) =>
    b.constant(
      fromIntegers(
        'bool',
        [1, 1, S, S],
        Array.from({ length: S * S }, (_, i) => Number(i % S <= Math.floor(i / S))),
      ),
    )
  const constantMask = (b: ProgramBuilder, fill: number) =>
    b.constant(
      fromFloat32(
        [B, 1, 1, S],
        Float32Array.from({ length: B * S }, (_, i) => (i === B * S - 1 ? fill : 0)),
      ),
    )
  const kT = (b: ProgramBuilder, k: string) => b.transpose(k, [0, 1, 3, 2])
  const plain = ['Sin', 'Cos', 'Mul', 'Tanh'] as const

  it.each<[string, (b: ProgramBuilder, q: string, k: string, v: string) => string, number]>([
    ['no scale', (b, q, k, v) => b.matMul(softmax(b, b.matMul(q, kT(b, k))), v), 1.5],
    ['scores / c', (b, q, k, v) => b.matMul(softmax(b, b.div(b.matMul(q, kT(b, k)), b.scalar(2))), v), 0.75],
    ['scores * c', (b, q, k, v) => b.matMul(softmax(b, b.mul(b.scalar(2), b.matMul(q, kT(b, k)))), v), 3],
    ['q * c', (b, q, k, v) => b.matMul(softmax(b, b.matMul(times(b, q, 0.5), kT(b, k))), v), 0.75],
    [
      'q * c and k^T * c (SDPA)',
      (b, q, k, v) => b.matMul(softmax(b, b.matMul(times(b, q, 0.5), times(b, kT(b, k), 0.5))), v),
      0.375,
    ],
    ['transB', (b, q, k, v) => b.matMul(softmax(b, b.matMul(q, times(b, k, 0.5), false, true)), v), 0.75],
  ])('%s', (_, body, scale) => {
    const program = build(dims, (b) => {
      const { q, k, v } = heads(b)
      return body(b, q, k, v)
    })
    expectFused(program, 'Sin', 'Cos', 'Tanh', 'Attention')
    expect(fuse(program).ops.at(-1)?.attrs).toEqual({ scale })
  })

  it('k transposed straight from [B,S,N,D]', () => {
    const program = build([B, S, N, D], (b) => {
      const split = (x: string) => b.transpose(x, [0, 2, 1, 3])
      const k = b.transpose(b.unary('Cos', X), [0, 2, 3, 1])
      return b.matMul(softmax(b, b.matMul(split(b.unary('Sin', X)), k)), split(b.unary('Tanh', X)))
    })
    expectFused(program, 'Sin', 'Cos', 'Tanh', 'Transpose', 'Transpose', 'Transpose', 'Attention')
  })

  it('a k^T that no Transpose made is transposed back', () => {
    const program = build(dims, (b) => b.matMul(softmax(b, b.matMul(X, b.reshape(b.unary('Cos', X), [B, N, D, S]))), X))
    expectFused(program, 'Cos', 'Reshape', 'Transpose', 'Attention')
  })

  type Mask = (b: ProgramBuilder, scores: string) => string
  const fedMask = { mask: [B, 1, 1, S] }
  it.each<[string, Mask, OpName[]]>([
    ['fed mask', (b, scores) => b.add(scores, 'mask'), []],
    ['fed mask first operand', (b, scores) => b.add('mask', scores), []],
    ['causal Where then fed mask (GPT-2)', (b, scores) => b.add(b.where(causal(b), scores, b.scalar(minimum)), 'mask'), ['Add']],
    ['fed mask then causal Where', (b, scores) => b.where(causal(b), b.add(scores, 'mask'), b.scalar(-1e9)), ['Add']],
    ['masked_fill', (b, scores) => b.add(b.where(b.unary('Not', causal(b)), b.scalar(minimum), scores), 'mask'), ['Not', 'Where', 'Add']],
    ['constants only', (b, scores) => b.add(b.where(causal(b), scores, b.scalar(minimum)), constantMask(b, minimum)), []],
    ['constant of zeros', (b, scores) => b.add(scores, constantMask(b, 0)), []],
    ['a condition computed per batch', (b, scores) => {
      const condition = b.binary('Greater', 'mask', b.scalar(0))
      return b.where(condition, scores, b.scalar(-1e5))
    }, ['Greater', 'Where']],
  ])('masks: %s', (name, mask, ops) => {
    const program = build(dims, (b) => {
      const { q, k, v } = heads(b)
      return b.matMul(softmax(b, mask(b, b.div(b.matMul(q, kT(b, k)), b.scalar(2)))), v)
    }, fedMask)
    expectFused(program, 'Sin', 'Cos', 'Tanh', 'Attention', ...ops)
    const inputs = fuse(program).ops.at(-1)?.inputs
    expect(inputs).toHaveLength(name === 'constant of zeros' ? 3 : 4)
  }) // prettier-ignore

  it('layers share one mask, and a constant mask stays finite', () => {
    const program = build(dims, (b) => {
      let x = X
      for (let layer = 0; layer < 3; layer++) {
        const scores = b.where(causal(b), b.matMul(x, kT(b, x)), b.scalar(-Infinity))
        x = b.matMul(softmax(b, b.add(b.add(scores, 'mask'), constantMask(b, minimum))), x)
      }
      return x
    }, fedMask) // prettier-ignore
    const fused = fuse(program)
    expect(fused.ops.map(({ op }) => op)).toEqual(['Add', 'Attention', 'Attention', 'Attention'])
    const [tensor] = [...fused.constants.values()]
    expect(new Float32Array(tensor?.bytes.slice().buffer ?? new ArrayBuffer(0)).every(Number.isFinite)).toBe(true)
  })

  it.each([1, 2])('repeated key heads: %i key heads become grouped-query attention', (kvHeads) => {
    const program = build(dims, (b) => {
      const { q, k, v } = heads(b, kvHeads)
      const repeat = (x: string) => {
        const expanded = b.expand(b.reshape(x, [B, kvHeads, 1, S, D]), [B, kvHeads, N / kvHeads, S, D])
        return b.reshape(expanded, dims)
      }
      return b.matMul(softmax(b, b.matMul(q, kT(b, repeat(k)))), repeat(v))
    })
    expectFused(program, 'Slice', ...plain, 'Attention')
  })

  it('heads repeated for v alone stay written out', () => {
    const program = build(dims, (b) => {
      const { q, v } = heads(b, 2)
      const repeated = b.reshape(b.expand(b.reshape(v, [B, 2, 1, S, D]), [B, 2, 2, S, D]), dims)
      return b.matMul(softmax(b, b.matMul(q, kT(b, X))), repeated)
    })
    expectFused(program, 'Sin', 'Slice', 'Tanh', 'Reshape', 'Expand', 'Reshape', 'Attention')
  })

  it('keeps a softmax that something else reads, and still fuses', () => {
    const program = build(dims, (b) => {
      const p = softmax(b, b.matMul(X, kT(b, X)))
      return b.add(b.matMul(p, X), b.reduceSum(p, [3], true))
    })
    const fused = fuse(program)
    expect([count(fused, 'Attention'), count(fused, 'Softmax')]).toEqual([1, 1])
    expectSame(program, fused)
  })

  it.each<[string, (b: ProgramBuilder) => string]>([
    ['softmax along the queries', (b) => b.matMul(softmax(b, b.matMul(X, kT(b, X)), 2), X)],
    ['a mask that depends on x', (b) => b.matMul(softmax(b, b.add(b.matMul(X, kT(b, X)), b.reduceSum(X, [3], true))), X)],
    ['scores through a tanh', (b) => b.matMul(softmax(b, b.unary('Tanh', b.matMul(X, kT(b, X)))), X)],
    ['p transposed', (b) => b.matMul(softmax(b, b.matMul(X, kT(b, X))), X, true)],
    ['a fill that is no mask', (b) => b.matMul(softmax(b, b.where(causal(b), b.matMul(X, kT(b, X)), b.scalar(-1))), X)],
    ['a number for each head', (b) => b.matMul(softmax(b, b.mul(b.matMul(X, kT(b, X)), weight(b, [N, 1, 1]))), X)],
  ])('not: %s', (_, body) => {
    const program = build(dims, body)
    const fused = fuse(program)
    // What multiplies the scores may be folded into q elsewhere, never into the one number `scale`.
    expect(count(fused, 'Attention')).toBe(0)
    expectSame(program, fused)
  })

  it('scale after the mask scales the mask too: not folded', () => {
    const program = build(dims, (b) => {
      const scores = b.where(causal(b), b.matMul(X, kT(b, X)), b.scalar(-1e4))
      return b.matMul(softmax(b, times(b, scores, 1e-4)), X)
    })
    expectNotFused(program, 'Attention')
  })
})

describe('linear layers on flat rows', () => {
  it('lose their reshapes, shared ones too', () => {
    const program = build([2, 3, 4], (b) => {
      const flat = b.reshape(b.unary('Tanh', X), [6, 4])
      const layer = (seed: number) =>
        b.reshape(b.add(b.matMul(flat, weight(b, [4, 5], seed)), weight(b, [5], seed + 1)), [2, 3, 5])
      return b.mul(layer(1), layer(3))
    })
    expectFused(program, 'Tanh', 'MatMul', 'Add', 'MatMul', 'Add', 'Mul')
  })
  it('stay where rows are put together differently', () => {
    const program = build([2, 3, 4], (b) => b.reshape(b.matMul(b.reshape(X, [6, 4]), weight(b, [4, 5])), [3, 2, 5]))
    expectFused(program, 'Reshape', 'MatMul', 'Reshape')
  })
})

describe('the pass as a whole', () => {
  it('shares equal ops and constants, and reports what it did', () => {
    const program = build([2, 3, 8], (b) => {
      const norm = (scale: string) => b.mul(b.div(X, b.unary('Sqrt', plus(b, mean(b, b.mul(X, X)), 1e-5))), scale)
      const gate = (x: string) => b.mul(x, b.unary('Sigmoid', x))
      return b.add(b.add(gate(norm(weight(b, [8]))), gate(norm(weight(b, [8])))), b.unary('Tanh', X))
    })
    const fused = fuse(program)
    expect(fused.ops.map(({ op }) => op)).toEqual(['RMSNorm', 'Silu', 'Add', 'Tanh', 'Add'])
    const report = fusionReport(program, fused)
    expect(report).toMatchObject({ ops_after: 5, composites: 2, candidates: 3, fused: 2, counts: { RMSNorm: 1, Add: 2 } })
    expect(report.ops_before).toBe(program.ops.length)
    expectSame(program, fused)
  })

  it('keeps weights by identity', () => {
    const tensor = fromFloat32([4, 4], new Float32Array(elementCount([4, 4])))
    const program = build([1, 2, 4], (b) => b.matMul(b.matMul(X, b.constant(tensor)), b.constant(tensor)))
    expect([...fuse(program).constants.values()]).toEqual([tensor])
    expect([...fuse(program).constants.values()][0]).toBe(tensor)
  })
})
