/** Functions of a file, inlined: the same results as onnxruntime, which runs them itself. */
import { describe, expect, it } from 'vitest'
import { bools, floats, model, node, runOnnx, tensor, type GraphParts } from '../../test/support/onnx'
import { f, float, wave } from '../../test/support/rule-case'
import { inlineFunctions } from './inline-functions'
import type { LocalFunction, Node } from './ir'
import { readModel } from './read'
import { concatBytes, writeModel } from './write'

const local = (
  name: string,
  inputs: string[],
  outputs: string[],
  nodes: Node[],
  more: Partial<LocalFunction> = {},
): LocalFunction => ({
  domain: 'local',
  name,
  overload: '',
  inputs,
  outputs,
  nodes,
  defaults: new Map(),
  opsets: new Map([['', 17]]),
  ...more,
})
const call = (name: string, inputs: string[], outputs: string[], attributes: Parameters<typeof node>[3] = {}) =>
  node(name, inputs, outputs, attributes, 'local')
const referring = (made: Node, references: Record<string, string>): Node => ({
  ...made,
  references: new Map(Object.entries(references)),
})

const x = floats([2, 3, 4], wave(24))
const y = { y: { dtype: 'float32', dims: [2, 3, 4] } } as const

/** h(x) = x * sigmoid(x), its inner names like those of the graph. */
const SILU = local('Silu', ['a'], ['b'], [node('Sigmoid', ['a'], ['h']), node('Mul', ['a', 'h'], ['b'])])
const TWICE = local('Twice', ['a'], ['b'], [call('Silu', ['a'], ['h']), call('Silu', ['h'], ['b'])], {
  opsets: new Map([
    ['', 17],
    ['local', 1],
  ]),
})
const SHIFTED = local(
  'Shifted',
  ['a', 'by'],
  ['low', 'high'],
  [node('Sub', ['a', 'by'], ['low']), node('Add', ['a', 'by'], ['high'])],
)
const SLOPED = local('Sloped', ['a'], ['b'], [referring(node('LeakyRelu', ['a'], ['b']), { alpha: 'slope' })], {
  defaults: new Map([['slope', { type: 'float', value: 0.25 }]]),
})
const BRANCHING = local(
  'Branching',
  ['condition', 'a'],
  ['b'],
  [
    node('Neg', ['a'], ['h']),
    node('If', ['condition'], ['b'], {
      then_branch: branch([referring(node('LeakyRelu', ['h'], ['t']), { alpha: 'slope' })], 't'),
      else_branch: branch([call('Silu', ['a'], ['e'])], 'e'),
    }),
  ],
  {
    opsets: new Map([
      ['', 17],
      ['local', 1],
    ]),
    defaults: new Map([['slope', { type: 'float', value: 0.25 }]]),
  },
)

function branch(nodes: Node[], output: string) {
  return { ...model({ nodes, outputs: { [output]: { dtype: 'float32', dims: [2, 3, 4] } } }).graph, inputs: [] }
}

const CASES: readonly (readonly [string, GraphParts])[] = [
  ['a call', { nodes: [node('Neg', ['x'], ['h']), call('Silu', ['h'], ['y'])], outputs: y, functions: [SILU] }],
  [
    'two calls of one function',
    { nodes: [call('Silu', ['x'], ['h']), call('Silu', ['h'], ['y'])], outputs: y, functions: [SILU] },
  ],
  [
    'a call within a function',
    { nodes: [call('Twice', ['x'], ['h']), call('Twice', ['h'], ['y'])], outputs: y, functions: [SILU, TWICE] },
  ],
  [
    'two outputs, and one that is not wanted',
    {
      nodes: [call('Shifted', ['x', 'c'], ['l', 'h']), call('Shifted', ['h', 'l'], ['', 'y'])],
      initializers: { c: f([4]) },
      outputs: y,
      functions: [SHIFTED],
    },
  ],
  [
    'an attribute of the call and one by default',
    {
      nodes: [call('Sloped', ['x'], ['h'], { slope: float(-0.5) }), node('Neg', ['h'], ['m']), call('Sloped', ['m'], ['y'])],
      outputs: y,
      functions: [SLOPED],
    },
  ],
  ...[0, 1].map(
    (taken) =>
      [
        `a branch within a function, ${taken}`,
        {
          nodes: [call('Branching', ['c', 'x'], ['y'], { slope: float(0.5) })],
          initializers: { c: tensor(bools([], [taken])) },
          outputs: y,
          functions: [SILU, BRANCHING],
        },
      ] as const,
  ),
]

describe('inlined functions', () => {
  it.each(CASES)('%s', async (_, parts) => {
    const whole = { ...parts, inputs: { x } }
    const made = readModel(concatBytes(writeModel(model(whole))))
    expect(made.functions?.length).toBe(parts.functions?.length)
    const { graph, functions } = inlineFunctions(made)
    expect(functions).toBeUndefined()
    expect(graph.nodes.some(({ domain }) => domain === 'local')).toBe(false)
    const inlined = await runOnnx({ ...whole, nodes: graph.nodes, functions: [] })
    expect(inlined).toEqual(await runOnnx(whole))
  })

  it('an output that is an input', () => {
    const both = local('Both', ['a'], ['a', 'b'], [node('Neg', ['a'], ['b'])])
    const { graph } = inlineFunctions(model({ nodes: [call('Both', ['x'], ['same', 'y'])], outputs: y, functions: [both] }))
    expect(graph.nodes.map(({ op_type, inputs, outputs }) => [op_type, inputs, outputs])).toEqual([
      ['Neg', ['x'], ['y']],
      ['Identity', ['x'], ['same']],
    ])
  })

  it('a model without functions stays what it is', () => {
    const plain = model({ nodes: [node('Neg', ['x'], ['y'])], outputs: y })
    expect(inlineFunctions(plain)).toBe(plain)
  })
})

describe('what is refused', () => {
  const chain = (count: number) =>
    Array.from({ length: count }, (_, i) =>
      local(
        `F${i}`,
        ['a'],
        ['b'],
        i === 0 ? [node('Neg', ['a'], ['b'])] : [call(`F${i - 1}`, ['a'], ['h']), call(`F${i - 1}`, ['h'], ['b'])],
      ),
    )
  it.each<[string, LocalFunction[], Node, RegExp]>([
    [
      'a function that calls itself',
      [local('F', ['a'], ['b'], [call('F', ['a'], ['b'])])],
      call('F', ['x'], ['y']),
      /local.F '.*': the function calls itself/,
    ],
    [
      'two that call each other',
      [local('F', ['a'], ['b'], [call('G', ['a'], ['b'])]), local('G', ['a'], ['b'], [call('F', ['a'], ['b'])])],
      call('F', ['x'], ['y']),
      /calls itself/,
    ],
    ['functions that double at every level', chain(40), call('F39', ['x'], ['y']), /more than 500000 nodes/],
    [
      'calls too deep',
      chain(80).map((made) => ({ ...made, nodes: made.nodes.slice(0, 1) })),
      call('F79', ['x'], ['y']),
      /nested more than 64 deep/,
    ],
    [
      'another operator set',
      [{ ...SILU, opsets: new Map([['', 12]]) }],
      call('Silu', ['x'], ['y']),
      /version 12 of operator set '', the model for 17/,
    ],
    ['too many inputs', [SILU], call('Silu', ['x', 'x'], ['y']), /2 inputs, the function has 1/],
    ['too many outputs', [SILU], call('Silu', ['x'], ['y', 'z']), /2 outputs, the function has 1/],
    ['one name twice', [SILU, SILU], call('Silu', ['x'], ['y']), /a second function local.Silu/],
  ])('%s', (_, functions, caller, message) => {
    expect(() => inlineFunctions(model({ nodes: [caller], outputs: y, functions }))).toThrow(message)
  })

  it('an attribute taken from a call, outside of a function', () => {
    const stray = model({ nodes: [referring(node('LeakyRelu', ['x'], ['y']), { alpha: 'slope' })], outputs: y })
    expect(() => readModel(concatBytes(writeModel(stray)))).toThrow(/takes an attribute from a function's call/)
  })
})
