/** Graphs of a node or a few on a device value `x`: as the Program that normalisation makes of them, against onnxruntime. */
import { expect } from 'vitest'
import type { Node, Tensor } from '../../src/graph/ir'
import { Emitter } from '../../src/graph/normalize/emitter'
import type { Program } from '../../src/graph/program'
import { tidy } from '../../src/graph/rewrite'
import { HostBudget } from '../../src/graph/specialize/budget'
import { StaticCache, Walk } from '../../src/graph/specialize/walk'
import { validateProgram } from '../../src/graph/validate'
import { evaluateProgram } from './evaluate-program'
import { floats, ints, model, node, runOnnx, tensor, type Values } from './onnx'

export interface RuleCase {
  readonly title: string
  /** On 'x'; the last output is 'y'. */
  readonly nodes: readonly Node[]
  readonly x?: Values
  readonly constants?: Readonly<Record<string, Tensor>>
  readonly opset?: number
  /** Ops of the program, in order. */
  readonly ops?: readonly string[]
  /** What onnxruntime runs instead, where it has no kernel for these nodes: the same function of x. */
  readonly reference?: readonly Node[]
  /** Largest difference to onnxruntime, relative to 1 or the value if that is more; 5e-6 unless told. */
  readonly tolerance?: number
}

export const wave = (count: number, scale = 2) => Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + 0.3) * scale)
export const x234 = floats([2, 3, 4], wave(24))
/** A float constant, of waves unless its numbers are given. */
export const f = (
  dims: number[],
  data = wave(
    dims.reduce((a, b) => a * b, 1),
    1,
  ),
) => tensor(floats(dims, data))
/** An int64 vector. */
export const v = (...values: number[]) => tensor(ints([values.length], values))
export const float = (value: number) => ({ float: value })
export const int8 = (dims: number[]) =>
  tensor({ dtype: 'int8', dims, data: Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 37) % 200) - 100) })

/** One node on x, other inputs as named constants; op as opKey writes it. */
export function one(
  op: string,
  constants: Record<string, Tensor> = {},
  attributes: Parameters<typeof node>[3] = {},
  more: Partial<RuleCase> = {},
): RuleCase {
  const title = `${op} ${JSON.stringify(attributes)} ${Object.values(constants)
    .map((t) => `[${t.dims.join()}]`)
    .join(' ')}`
  return { title, nodes: [domainNode(op, ['x', ...Object.keys(constants)], ['y'], attributes)], constants, ...more }
}

/** `node` with the domain in front of the op's name, as opKey writes it. */
export function domainNode(key: string, inputs: string[], outputs: string[], attributes: Parameters<typeof node>[3] = {}): Node {
  const at = key.lastIndexOf('.')
  return node(key.slice(at + 1), inputs, outputs, attributes, key.slice(0, Math.max(at, 0)))
}

/** The same with the constant in front. */
export function flipped(op: string, constant: Tensor, more: Partial<RuleCase> = {}): RuleCase {
  return {
    title: `${op} of a constant [${constant.dims.join()}] and x`,
    nodes: [node(op, ['c', 'x'], ['y'])],
    constants: { c: constant },
    ...more,
  }
}

export function programOf(test: RuleCase, simulate_rounding = true): Program {
  const x = test.x ?? x234
  const emit = new Emitter(new WeakMap(), ['x', 'y'])
  const { graph, opsets } = model({
    nodes: test.nodes,
    inputs: { x },
    initializers: test.constants ?? {},
    outputs: {},
    opset: test.opset ?? 17,
  })
  const budget = new HostBudget(graph, { batch_size: 1, sequence_length: 1, encoder_length: null })
  const walk = new Walk({ opsets, emit, cache: new StaticCache(), simulate_rounding, budget })
  const lane = walk.run(graph, new Map([['x', emit.input('x', x.dims)]]), 'y')
  if (lane.kind !== 'device') throw new Error(`y is ${lane.kind}`)
  return tidy(emit.program(lane, 'y'))
}

/** The program is valid, of the ops that are told, and computes what onnxruntime does. */
export async function expectLikeOnnxruntime(test: RuleCase): Promise<void> {
  const x = test.x ?? x234
  const program = programOf(test)
  validateProgram(program)
  // What is left of a rule that does nothing is the copy of x to the output.
  if (test.ops) expect(program.ops.map(({ op }) => op)).toEqual(test.ops.length === 0 ? ['Reshape'] : test.ops)
  const got = evaluateProgram(program, new Map([['x', Float32Array.from(x.data)]])).get('y')
  if (!got) throw new Error('no y')
  const expected = await runOnnx({
    nodes: test.reference ?? test.nodes,
    inputs: { x },
    initializers: test.constants ?? {},
    outputs: { y: { dtype: 'float32', dims: got.dims } },
    opset: test.opset ?? 17,
  })
  expect(got.dims).toEqual(expected.y?.dims)
  const tolerance = test.tolerance ?? 5e-6
  got.data.forEach((value, i) => {
    const reference = expected.y?.data[i] ?? NaN
    expect(Math.abs(value - reference)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(reference)))
  })
}
