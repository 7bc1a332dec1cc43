/** Every VJP against central differences in float64, over shapes, broadcasts and axes; and what the backward half may not do. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { gradientError, noiseFor, programWith, withGradient } from '../../test/support/gradient-check'
import { differentiable, differentiate, missingVjps } from './differentiate'
import { elementCount, GraphError } from './ir'
import { broadcastDims, type OpDraft } from './op-types'
import type { BinaryName, Program, UnaryName } from './program'
import { fromFloat32, fromIntegers } from './tensor'

/** Central differences with step 1e-5 in float64: truncation and rounding both stay below this for the ranges drawn here. */
const TOLERANCE = 1e-6

/** The draft's output as the program output 'y'. */
function oneOp(inputs: Readonly<Record<string, readonly number[]>>, draft: OpDraft): Program {
  const builder = programWith(inputs)
  builder.emitAll(draft, ['y'])
  return builder.finish(['y'])
}
const shapes = (rank: number) => fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 0, maxLength: rank })
const nonEmptyShapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })
const seeds = fc.integer({ min: 1, max: 2 ** 31 })
/** Two shapes that broadcast together. */
const broadcastPairs = fc
  .tuple(
    shapes(4),
    fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    fc.nat(4),
  )
  .map(([dims, onesA, onesB, dropped]) => {
    const a = dims.map((dim, i) => (onesA[i] ? 1 : dim))
    const b = dims.map((dim, i) => (onesB[i] ? 1 : dim)).slice(Math.min(dropped, dims.length))
    return [a, b] as const
  })
const some = { numRuns: 25 }

describe('element-wise VJPs', () => {
  const domain: Partial<Record<UnaryName, (x: number) => number>> = {
    // Away from 0, where they are not differentiable or not defined.
    Sqrt: (x) => 0.5 + Math.abs(x),
    Log: (x) => 0.5 + Math.abs(x),
    Reciprocal: (x) => x + Math.sign(x),
    Abs: (x) => x + 0.1 * Math.sign(x),
    Relu: (x) => x + 0.1 * Math.sign(x),
  }
  const names: UnaryName[] = ['Neg', 'Abs', 'Reciprocal', 'Sqrt', 'Exp', 'Log', 'Erf', 'Tanh', 'Sigmoid', 'Relu', 'Sin', 'Cos']
  it.each(names)('%s', (op) => {
    fc.assert(
      fc.property(shapes(3), seeds, (dims, seed) => {
        const program = oneOp({ x: dims }, { op, name: op, inputs: ['x'], attrs: {} })
        const x = noiseFor(program, seed)
          .get('x')
          ?.map(domain[op] ?? ((value) => 2 * value))
        expect(gradientError(program, 'y', 'x', seed, new Map([['x', x ?? []]]))).toBeLessThan(TOLERANCE)
      }),
      some,
    )
  })

  const binaries: BinaryName[] = ['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Max', 'Min']
  it.each(binaries)('%s with broadcasting, either operand', (op) => {
    fc.assert(
      fc.property(broadcastPairs, seeds, ([a, b], seed) => {
        const program = oneOp({ a, b }, { op, name: op, inputs: ['a', 'b'], attrs: {} })
        const noise = noiseFor(program, seed)
        // Positive bases and divisors.
        const feeds = new Map([...noise].map(([name, data]) => [name, data.map((x) => 1 + 0.6 * x)]))
        expect(gradientError(program, 'y', 'a', seed, feeds)).toBeLessThan(TOLERANCE)
        expect(gradientError(program, 'y', 'b', seed, feeds)).toBeLessThan(TOLERANCE)
      }),
      some,
    )
  })

  it('Mul and Add of a value with itself', () => {
    for (const op of ['Mul', 'Add'] as const) {
      const program = oneOp({ x: [2, 3] }, { op, name: op, inputs: ['x', 'x'], attrs: {} })
      expect(gradientError(program, 'y', 'x')).toBeLessThan(TOLERANCE)
    }
  })

  it('Pow with a negative base and an integer exponent', () => {
    const builder = programWith({ x: [5] })
    builder.emit({ op: 'Pow', name: 'p', inputs: ['x', builder.scalar(3)], attrs: {} }, 'y')
    expect(gradientError(builder.finish(['y']), 'y', 'x')).toBeLessThan(TOLERANCE)
  })

  it('Where, both branches broadcast', () => {
    fc.assert(
      fc.property(broadcastPairs, seeds, ([a, b], seed) => {
        const builder = programWith({ a, b })
        const dims = broadcastDims(a, b) ?? []
        const bits = Array.from({ length: elementCount(dims) }, (_, i) => (seed >> (i % 16)) & 1)
        const condition = builder.constant(fromIntegers('bool', dims, bits))
        builder.emit({ op: 'Where', name: 'w', inputs: [condition, 'a', 'b'], attrs: {} }, 'y')
        const program = builder.finish(['y'])
        expect(gradientError(program, 'y', 'a', seed)).toBeLessThan(TOLERANCE)
        expect(gradientError(program, 'y', 'b', seed)).toBeLessThan(TOLERANCE)
      }),
      some,
    )
  })
})

describe('matrix products', () => {
  it('MatMul: transposes, broadcast batches, 2-D weights', () => {
    const size = fc.integer({ min: 1, max: 3 })
    const batch = fc.constantFrom<[number[], number[]]>(
      [[], []],
      [[2], []],
      [[], [2]],
      [[2, 3], [3]],
      [
        [2, 1],
        [1, 3],
      ],
    )
    fc.assert(
      fc.property(
        batch,
        size,
        size,
        size,
        fc.boolean(),
        fc.boolean(),
        seeds,
        ([batchA, batchB], m, k, n, transA, transB, seed) => {
          const a = [...batchA, ...(transA ? [k, m] : [m, k])]
          const b = [...batchB, ...(transB ? [n, k] : [k, n])]
          const program = oneOp({ a, b }, { op: 'MatMul', name: 'm', inputs: ['a', 'b'], attrs: { transA, transB } })
          expect(gradientError(program, 'y', 'a', seed)).toBeLessThan(TOLERANCE)
          expect(gradientError(program, 'y', 'b', seed)).toBeLessThan(TOLERANCE)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('a frozen 2-D weight: one product backwards, on the same constant, nothing for the weight', () => {
    const builder = programWith({ x: [2, 3, 4] })
    const weight = fromFloat32(
      [4, 5],
      Float32Array.from({ length: 20 }, (_, i) => i / 10),
    )
    builder.emit(
      { op: 'MatMul', name: 'm', inputs: ['x', builder.constant(weight, 'w')], attrs: { transA: false, transB: false } },
      'y',
    )
    const both = withGradient(builder.finish(['y']), 'y', 'x')
    expect(both.ops.map((op) => [op.op, op.inputs, op.attrs])).toEqual([
      ['MatMul', ['x', 'w'], { transA: false, transB: false }],
      ['MatMul', ['dy', 'w'], { transA: false, transB: true }],
    ])
    expect([...both.constants.values()]).toEqual([weight])
  })

  it('DynamicQuantizedMatMul without rounding', () => {
    const builder = programWith({ x: [2, 3, 4] })
    const w = builder.constant(fromIntegers('int8', [4, 2], [1, -2, 3, 4, -50, 6, 7, 80]))
    const inputs = [
      'x',
      w,
      builder.constant(fromFloat32([2], Float32Array.of(0.1, 0.02))),
      builder.constant(fromIntegers('int8', [2], [3, -1])),
    ]
    builder.emit({ op: 'DynamicQuantizedMatMul', name: 'q', inputs, attrs: { simulate_rounding: false } }, 'y')
    expect(gradientError(builder.finish(['y']), 'y', 'x')).toBeLessThan(TOLERANCE)
  })
})

describe('shapes and reductions', () => {
  const withAxis = nonEmptyShapes.chain((dims) => fc.tuple(fc.constant(dims), fc.nat(dims.length - 1)))

  it('Reshape, Expand, Transpose', () => {
    fc.assert(
      fc.property(nonEmptyShapes, seeds, (dims, seed) => {
        const perm = dims.map((_, i) => (i + seed) % dims.length)
        const drafts: OpDraft[] = [
          { op: 'Reshape', name: 'r', inputs: ['x'], attrs: { dims: [1, elementCount(dims)] } },
          { op: 'Expand', name: 'e', inputs: ['x'], attrs: { dims: [2, ...dims.map((dim) => (dim === 1 ? 3 : dim))] } },
          { op: 'Transpose', name: 't', inputs: ['x'], attrs: { perm } },
        ]
        for (const draft of drafts) expect(gradientError(oneOp({ x: dims }, draft), 'y', 'x', seed)).toBeLessThan(TOLERANCE)
      }),
      some,
    )
  })

  it('Concat, Slice, Pad on any axis', () => {
    fc.assert(
      fc.property(withAxis, seeds, ([dims, axis], seed) => {
        const size = dims[axis] ?? 1
        const start = seed % size
        const end = start + 1 + ((seed >> 4) % (size - start))
        const drafts: OpDraft[] = [
          { op: 'Concat', name: 'c', inputs: ['x', 'z', 'x'], attrs: { axis } },
          { op: 'Slice', name: 's', inputs: ['x'], attrs: { axis, start, end } },
          { op: 'Pad', name: 'p', inputs: ['x'], attrs: { axis, before: seed % 3, after: 1 } },
        ]
        for (const draft of drafts)
          expect(gradientError(oneOp({ x: dims, z: dims }, draft), 'y', 'x', seed)).toBeLessThan(TOLERANCE)
      }),
      some,
    )
  })

  it('slices that overlap, leave gaps or tile', () => {
    const cuts = fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(cuts, seeds, (ranges, seed) => {
        const builder = programWith({ x: [2, 6] })
        const parts = ranges.map(([a, b]) => builder.slice('x', 1, Math.min(a, b), Math.max(a, b) + 1))
        builder.emit({ op: 'Concat', name: 'c', inputs: parts, attrs: { axis: 1 } }, 'y')
        expect(gradientError(builder.finish(['y']), 'y', 'x', seed)).toBeLessThan(TOLERANCE)
      }),
      some,
    )
  })

  it('the backward of a split is one Concat', () => {
    const builder = programWith({ x: [2, 6] })
    const [q, k, v] = [builder.slice('x', 1, 0, 2), builder.slice('x', 1, 2, 4), builder.slice('x', 1, 4, 6)]
    builder.emit({ op: 'Mul', name: 'y', inputs: [builder.mul(q, k), v], attrs: {} }, 'y')
    const ops = withGradient(builder.finish(['y']), 'y', 'x').ops.map(({ op }) => op)
    expect(ops.filter((op) => op === 'Concat')).toHaveLength(1)
    expect(ops).not.toContain('Pad')
  })

  it.each(['ReduceSum', 'ReduceMean', 'ReduceMax'] as const)('%s over any axes', (op) => {
    fc.assert(
      fc.property(nonEmptyShapes, seeds, fc.boolean(), (dims, seed, keepdims) => {
        const axes = dims.flatMap((_, i) => ((seed >> i) & 1 ? [i] : []))
        if (axes.length === 0) axes.push(dims.length - 1)
        const program = oneOp({ x: dims }, { op, name: op, inputs: ['x'], attrs: { axes, keepdims } })
        expect(gradientError(program, 'y', 'x', seed)).toBeLessThan(TOLERANCE)
      }),
      some,
    )
  })

  it.each(['Softmax', 'LogSoftmax'] as const)('%s along any axis', (op) => {
    fc.assert(
      fc.property(withAxis, seeds, ([dims, axis], seed) => {
        const program = oneOp({ x: dims }, { op, name: op, inputs: ['x'], attrs: { axis } })
        expect(gradientError(program, 'y', 'x', seed)).toBeLessThan(TOLERANCE)
      }),
      some,
    )
  })

  it('lazy gradients: means broadcast back through element-wise ops, reductions and reshapes', () => {
    // Each line uses the one-number-a-row gradient of a mean in another way.
    const builder = programWith({ x: [2, 3, 4], z: [4] })
    const mean = (value: string) =>
      builder.emit({ op: 'ReduceMean', name: 'mean', inputs: [value], attrs: { axes: [2], keepdims: true } })
    const direct = mean('x')
    const broadcastBack = mean(builder.add(builder.mul('x', 'z'), direct))
    const moved = builder.transpose(builder.reshape(mean(builder.add('x', 'z')), [2, 1, 3, 1]), [0, 2, 1, 3])
    const joined = mean(builder.concat([builder.unary('Exp', 'x'), builder.expand(builder.unary('Tanh', direct), [2, 3, 4])], 2))
    const normal = mean(builder.emit({ op: 'LogSoftmax', name: 's', inputs: ['x'], attrs: { axis: 2 } }))
    const parts = [direct, broadcastBack, builder.reshape(moved, [2, 3, 1]), joined, normal]
    builder.emit({ op: 'Concat', name: 'c', inputs: parts, attrs: { axis: 2 } }, 'y')
    expect(gradientError(builder.finish(['y']), 'y', 'x')).toBeLessThan(TOLERANCE)
    expect(gradientError(builder.finish(['y']), 'y', 'z')).toBeLessThan(TOLERANCE)
  })
})

describe('composites', () => {
  const x = [2, 3, 8]
  const cases: readonly (readonly [string, Readonly<Record<string, readonly number[]>>, OpDraft])[] = [
    ['LayerNorm', { x, s: [8], b: [8] }, { op: 'LayerNorm', name: 'n', inputs: ['x', 's', 'b'], attrs: { epsilon: 1e-3 } }],
    ['RMSNorm', { x, s: [8] }, { op: 'RMSNorm', name: 'n', inputs: ['x', 's'], attrs: { epsilon: 1e-3 } }],
    ['Gelu', { x }, { op: 'Gelu', name: 'g', inputs: ['x'], attrs: { approximate: 'none' } }],
    ['Gelu tanh', { x }, { op: 'Gelu', name: 'g', inputs: ['x'], attrs: { approximate: 'tanh' } }],
    ['Silu', { x }, { op: 'Silu', name: 's', inputs: ['x'], attrs: {} }],
    [
      'RotaryEmbedding',
      { x: [2, 3, 2, 4], c: [2, 1, 2, 4], s: [4] },
      { op: 'RotaryEmbedding', name: 'r', inputs: ['x', 'c', 's'], attrs: {} },
    ],
  ]
  it.each(cases)('%s', (_, inputs, draft) => {
    expect(gradientError(oneOp(inputs, draft), 'y', 'x')).toBeLessThan(TOLERANCE)
  })

  it.each([1, 2, 4])('Attention with %i query heads a key head, with and without a mask', (groups) => {
    const inputs = { q: [2, 4, 3, 2], k: [2, 4 / groups, 5, 2], v: [2, 4 / groups, 5, 3], mask: [2, 1, 3, 5] }
    for (const operands of [
      ['q', 'k', 'v'],
      ['q', 'k', 'v', 'mask'],
    ]) {
      const builder = programWith(inputs)
      builder.emitAll({ op: 'Attention', name: 'a', inputs: operands, attrs: { scale: 0.7 } }, ['y', 'p'])
      for (const wrt of ['q', 'k', 'v']) expect(gradientError(builder.finish(['y']), 'y', wrt)).toBeLessThan(TOLERANCE)
    }
  })

  it('GatherRows, with rows that repeat', () => {
    const builder = programWith({ x: [2, 4, 3] })
    const positions = builder.constant(fromIntegers('int32', [2, 3], [1, 1, 3, 0, 2, 2]))
    builder.emit({ op: 'GatherRows', name: 'g', inputs: ['x', positions], attrs: {} }, 'y')
    expect(gradientError(builder.finish(['y']), 'y', 'x')).toBeLessThan(TOLERANCE)
  })
})

describe('what cannot be differentiated', () => {
  it('names every op without a VJP before anything runs', () => {
    const builder = programWith({ x: [4, 3] })
    const ids = builder.constant(fromIntegers('int32', [2], [0, 3]))
    const rows = builder.emit({ op: 'Gather', name: '/model/lookup', inputs: ['x', ids], attrs: { axis: 0 } })
    const loss = builder.emitAll({ op: 'WeightedLogSoftmax', name: '/inner/loss', inputs: [rows, rows], attrs: {} })
    builder.emit({ op: 'Neg', name: 'n', inputs: [loss[0] ?? ''], attrs: {} }, 'y')
    const program = builder.finish(['y'])
    expect(missingVjps(program, 'y', 'x').map(({ op, name }) => `${op} ${name}`)).toEqual([
      'Gather /model/lookup',
      'WeightedLogSoftmax /inner/loss',
    ])
    expect(() => withGradient(program, 'y', 'x')).toThrow(/Gather '\/model\/lookup', WeightedLogSoftmax '\/inner\/loss'/)
    expect(differentiable('Gather')).toBe(false)
    expect(differentiable('MatMul')).toBe(true)
  })

  it('says so when a weight, mask or table depends on what is tuned', () => {
    const program = oneOp({ x: [2, 3], s: [3] }, { op: 'RMSNorm', name: '/norm', inputs: ['x', 's'], attrs: { epsilon: 1e-5 } })
    expect(() => withGradient(program, 'y', 's')).toThrow(/RMSNorm '\/norm' \(its input 1/)
  })

  it('refuses a loss the input has no influence on, and a seed of another shape', () => {
    const program = oneOp({ x: [2], z: [2] }, { op: 'Exp', name: 'e', inputs: ['z'], attrs: {} })
    expect(() => withGradient(program, 'y', 'x')).toThrow(GraphError)
    const options = { seeds: new Map([['y', 'w']]), wrt: new Map([['z', 'dz']]) }
    expect(() => differentiate(oneOp({ z: [2], w: [3] }, { op: 'Exp', name: 'e', inputs: ['z'], attrs: {} }), options)).toThrow(
      /shape/,
    )
  })

  it('lets no gradient through conditions and indices', () => {
    const builder = programWith({ x: [4] })
    const positive = builder.binary('Greater', 'x', builder.scalar(0))
    builder.emit({ op: 'Where', name: 'w', inputs: [positive, 'x', builder.scalar(0)], attrs: {} }, 'y')
    expect(gradientError(builder.finish(['y']), 'y', 'x')).toBeLessThan(TOLERANCE)
  })
})
