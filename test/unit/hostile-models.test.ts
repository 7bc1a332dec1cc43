/** Models made to hurt: each ends in a GraphError that names the place, soon and without memory taken. Damaged real files: fuzz.test.ts. */
import { describe, expect, it } from 'vitest'
import { coverage } from '../../src/graph/coverage'
import { cutGraphs, cutModel } from '../../src/graph/cut'
import { fuse } from '../../src/graph/fuse'
import { GraphError, type Graph, type Node, type OnnxModel, type Tensor } from '../../src/graph/ir'
import { describeUnsupported } from '../../src/graph/model-kind'
import { readModel } from '../../src/graph/read'
import { concatBytes } from '../../src/graph/source'
import { specialize } from '../../src/graph/specialize'
import { WireWriter } from '../../src/graph/wire'
import { writeModel } from '../../src/graph/write'
import { bools, floats, ints, model, node, tensor } from '../support/onnx'

const ids = ints([1, 2], [0, 1])
const shape = (...dims: number[]): Tensor => tensor(ints([dims.length], dims))
const number = (value: number): Tensor => tensor(ints([], [value]))

/** Token ids to `rows`, `x` to logits; a test says how rows become x. */
function between(nodes: Node[], constants: Record<string, Tensor> = {}, inputs: Record<string, typeof ids> = {}): OnnxModel {
  return model({
    nodes: [node('Gather', ['table', 'input_ids'], ['rows']), ...nodes, node('MatMul', ['x', 'head'], ['logits'])],
    inputs: { input_ids: ids, ...inputs },
    initializers: {
      table: tensor(floats([6, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])),
      head: tensor(floats([2, 6], new Array<number>(12).fill(0.5))),
      one: tensor(floats([1], [1])),
      ...constants,
    },
    outputs: { logits: { dtype: 'float32', dims: [1, 2, 6] } },
  })
}

/** `rows` plus what `made` makes of constants as 'b'. */
const plus = (made: Node, constants: Record<string, Tensor>): OnnxModel =>
  between([made, node('Add', ['rows', 'b'], ['x'])], constants)

function prepare(made: OnnxModel): void {
  const cut = cutModel(readModel(concatBytes(writeModel(made))))
  fuse(specialize(cut, { batch_size: 1, sequence_length: 3, mask: 'ones', simulate_rounding: true }).program)
}

/** Seconds allowed: a second here, more where eight other jobs share two cores. */
const SECONDS = 5

function refuse(made: OnnxModel, message: RegExp): void {
  const start = performance.now()
  let error: unknown = null
  try {
    prepare(made)
  } catch (caught) {
    error = caught
  }
  expect(error).toBeInstanceOf(GraphError)
  expect(String(error)).toMatch(message)
  expect(String(error).length).toBeLessThan(800)
  expect(performance.now() - start).toBeLessThan(SECONDS * 1000)
}

describe('huge values', () => {
  const huge = shape(1e12)
  it.each<[string, OnnxModel, RegExp]>([
    ['ConstantOfShape', plus(node('ConstantOfShape', ['n'], ['b']), { n: huge }), /ConstantOfShape_b'.* 1000000000000 elements/],
    [
      'a negative size',
      plus(node('ConstantOfShape', ['n'], ['b']), { n: shape(-5) }),
      /ConstantOfShape_b'.*\[-5\] is not a shape/,
    ],
    ['Expand', plus(node('Expand', ['one', 'n'], ['b']), { n: shape(1e6, 1e6) }), /Expand_b'.* 1000000000000 elements/],
    ['Range', plus(node('Range', ['a', 'n', 'd'], ['b']), { a: number(0), n: number(1e12), d: number(1) }), /Range_b'.*elements/],
    [
      'Range by 0',
      plus(node('Range', ['a', 'n', 'a'], ['b']), { a: number(0), n: number(1) }),
      /Range_b'.*range from 0 to 1 by 0/,
    ],
    ['Tile', plus(node('Tile', ['one', 'n'], ['b']), { n: huge }), /Tile_b'.* 1000000000000 elements/],
    ['Pad', plus(node('Pad', ['one', 'n'], ['b']), { n: shape(0, 1e12) }), /Pad_b'/],
    ['Resize', plus(node('Resize', ['one', 'n', 'n'], ['b']), { n: huge }), /Resize_b'/],
    ['OneHot', plus(node('OneHot', ['n', 'n', 'one'], ['b']), { n: huge }), /OneHot_b'/],
    ['very many axes', plus(node('Expand', ['one', 'n'], ['b']), { n: shape(...new Array<number>(1e5).fill(1)) }), /100000 axes/],
    ['a computed Expand', between([node('Expand', ['rows', 'n'], ['x'])], { n: shape(1e9, 1e9, 1, 1, 1) }), /Expand_x'/],
    [
      'a computed Expand to a negative size',
      between([node('Expand', ['rows', 'n'], ['x'])], { n: shape(-7, 1, 1, 1) }),
      /-7 is no size/,
    ],
    ['a computed Tile', between([node('Tile', ['rows', 'n'], ['x'])], { n: shape(1, 1e15, 1) }), /Tile_x'/],
    ['a product of tables', between([
      node('ConstantOfShape', ['n'], ['b']), node('MatMul', ['b', 'b'], ['c']), node('Add', ['rows', 'c'], ['x']),
    ], { n: shape(4000, 4000) }), /MatMul_c'.*64000000000 products/], // prettier-ignore
  ])('%s', (_, made, message) => refuse(made, message))

  it('many large ones', () => {
    const many = Array.from({ length: 200 }, (_, i) => node('ConstantOfShape', ['n'], [`b${i}`]))
    const all = node('Sum', ['rows', ...many.map(({ outputs }) => outputs[0] ?? '')], ['x'])
    refuse(between([...many, all], { n: shape(4e6) }), /ConstantOfShape_b\d+'.*more than \d+ elements/)
  })
})

describe('long graphs', () => {
  const chain = (length: number, each: (from: string, to: string) => Node): Node[] =>
    Array.from({ length }, (_, i) => each(i === 0 ? 'rows' : `c${i}`, i === length - 1 ? 'x' : `c${i + 1}`))

  it('a million nodes are too many', () => {
    const graph = new WireWriter()
    const one = new WireWriter()
    one.string(4, 'Neg')
    const bytes = concatBytes(one.chunks())
    for (let i = 0; i < 1e6; i++) graph.bytes(1, bytes)
    const file = new WireWriter()
    file.message(7, graph)
    expect(() => readModel(concatBytes(file.chunks()))).toThrow(/more than 500000 messages/)
  })

  it('a chain of 60,000 is refused before anything is computed', () => {
    refuse(between(chain(60_000, (from, to) => node('Neg', [from], [to]))), /60002 nodes lead to 'logits', the limit is 50000/)
  })

  it('chains of several thousand cost what they are long', () => {
    prepare(between(chain(5000, (from, to) => node('Identity', [from], [to]))))
    refuse(between(chain(5000, (from, to) => node('Concat', [from, from], [to], { axis: 1 }))), /Concat_c\d+'.*can't be/)
  })

  it('16,000 lookups in integer tables cost what they are many', () => {
    const one = (i: number): Node[] => [
      node('Gather', ['bytes', 'input_ids'], [`q${i}`]),
      node('DequantizeLinear', [`q${i}`, 'one'], [`f${i}`]),
      node('Add', [i === 0 ? 'rows' : `s${i - 1}`, `f${i}`], [i === 15_999 ? 'x' : `s${i}`]),
    ]
    const bytes: Tensor = { dtype: 'int8', dims: [6, 2], bytes: new Uint8Array(12) }
    refuse(between(Array.from({ length: 16_000 }, (_, i) => one(i)).flat(), { bytes }), /it has a second embedding table/)
  })

  it('transpositions of a constant do not pile up', () => {
    const turned = Array.from({ length: 20_000 }, (_, i) => node('Transpose', [i === 0 ? 'one' : `t${i}`], [`t${i + 1}`]))
    prepare(between([...turned, node('Mul', ['rows', 't20000'], ['x'])]))
  })

  it('one node with 100,000 inputs', () => {
    const many = Array.from({ length: 1e5 }, () => 'rows')
    refuse(between([node('Concat', many, ['x'], { axis: 1 })]), /'logits' is \[1, 300000, 6\]/)
    refuse(
      between([
        node(
          'Split',
          ['rows'],
          Array.from({ length: 1e5 }, (_, i) => (i === 0 ? 'x' : `p${i}`)),
          { axis: 1 },
        ),
      ]),
      /Split_x'/,
    )
  })

  it('names that repeat in thousands of branches', () => {
    const branch: Graph = { name: '', nodes: [node('Neg', ['rows'], ['y'])], inputs: [], initializers: new Map(), outputs: [{ name: 'y', dtype: 'float32', dims: [] }] } // prettier-ignore
    const ifs = Array.from({ length: 2000 }, (_, i) =>
      node('If', ['cond'], [`f${i}`], { then_branch: branch, else_branch: branch }),
    )
    prepare(between([...ifs, node('Sum', ifs.map(({ outputs }) => outputs[0] ?? ''), ['x'])], { cond: tensor(bools([], [1])) })) // prettier-ignore
  })

  it('graphs nested 10,000 deep', () => {
    let inner: Uint8Array = new Uint8Array(0)
    for (let i = 0; i < 10_000; i++) {
      const [attribute, made, graph] = [new WireWriter(), new WireWriter(), new WireWriter()]
      attribute.string(1, 'then_branch')
      attribute.bytes(6, inner)
      made.message(5, attribute)
      graph.message(1, made)
      inner = concatBytes(graph.chunks())
    }
    const file = new WireWriter()
    file.bytes(7, inner)
    expect(() => readModel(concatBytes(file.chunks()))).toThrow(/nested deeper than 100/)
  })
})

describe('broken graphs', () => {
  it.each<[string, OnnxModel, RegExp]>([
    ['a cycle', between([node('Add', ['rows', 'b'], ['x']), node('Neg', ['x'], ['b'])]), /depends on its own output/],
    [
      'an output twice',
      between([node('Neg', ['rows'], ['x']), node('Abs', ['rows'], ['x'])]),
      /Abs_x' defines 'x' a second time/,
    ],
    ['a value nobody makes', between([node('Add', ['rows', 'ghost'], ['x'])]), /'ghost' is used but nothing defines it/],
    [
      'a name of megabytes',
      between([node('Add', ['rows', 'ghost'.repeat(1e6)], ['x'])]),
      /'ghostgho[ghost]+\.\.\.[ghost]+' is used but nothing defines it/,
    ],
    [
      'control characters',
      between([node('Add', ['rows', 'gho\0st\u001b[2J\u202e'], ['x'])]),
      /'gho\\u\{0\}st\\u\{1b\}\[2J\\u\{202e\}'/,
    ],
  ])('%s', (_, made, message) => refuse(made, message))
})

describe('kinds of models', () => {
  const named = (nodes: Node[], inputs: Record<string, typeof ids> = {}): string => {
    const { unsupported } = coverage(...cutGraphs(cutModel(between(nodes, {}, inputs))))
    return describeUnsupported(unsupported)
  }
  const one = (op: string, domain = ''): Node => node(op, ['rows'], ['x'], {}, domain)
  const MS = 'com.microsoft'

  it.each<[Node[], string]>([
    [[one('QMoE', MS)], "it is a mixture-of-experts model (com.microsoft.QMoE at node 'QMoE_x')"],
    [[one('MoE', MS)], 'it is a mixture-of-experts model (com.microsoft.MoE at'],
    [[node('TopK', ['rows', 'one'], ['x'])], 'it is a model that picks what to compute by its values'],
    [[node('NonZero', ['rows'], ['n']), node('Foo', ['n'], ['x'])], 'it is a model that picks what to compute by its values'],
    [
      [one('LinearAttention', MS)],
      'it is a model with linear attention, whose layers are recurrences (com.microsoft.LinearAttention',
    ],
    [[one('CausalConvWithState', MS)], 'it is a state-space model (Mamba) or one with convolutions over the sequence'],
    [[node('Conv', ['rows', 'one'], ['x'])], "it is a model with convolution layers (Conv at node 'Conv_x')"],
    [[one('LSTM')], 'it is a recurrent model (LSTM at'],
    [[one('GRU')], 'it is a recurrent model (GRU at'],
    [[one('Scan')], 'it is a model that loops over positions'],
    [[one('Loop')], 'it is a model that loops over positions'],
    [[one('Fancy', 'my.company')], "it needs ops of its own, of the domain 'my.company' (Fancy at node 'Fancy_x')"],
    [[one('Quux')], "Quux is not an op known here (first at node 'Quux_x')"],
  ])('%#: by its ops', (nodes, message) => expect(named(nodes)).toContain(message))

  it.each([
    ['pixel_values', 'it is a vision model'],
    ['input_features', 'it is a speech or audio model'],
    ['inputs_embeds', 'it already takes inputs_embeds'],
    ['past_conv.0', 'its layers keep states of their own'],
    ['past_ssm.3', 'its layers keep states of their own'],
    ['past_recurrent.0', 'its layers keep states of their own'],
    ['conv_states', 'its layers keep states of their own'],
  ])('by its input %s', (name, message) => {
    expect(() => cutModel(between([node('Identity', ['rows'], ['x'])], {}, { [name]: ids }))).toThrow(message)
  })

  it('a past of keys and values is not taken for one of states', () => {
    const past = { 'past_key_values.0.key': ints([1, 1, 0, 2], []), attention_mask: ids, position_ids: ids }
    expect(() => cutModel(between([node('Identity', ['rows'], ['x'])], {}, past))).not.toThrow()
  })
})
