/** Clean-up and building of Programs: what is merged, dropped, kept and renamed, and which mistakes are refused. */
import { describe, expect, it } from 'vitest'
import { evaluateProgram } from '../../test/support/evaluate-program'
import { programWith } from '../../test/support/gradient-check'
import { GraphError } from './ir'
import type { OpDraft } from './op-types'
import { ProgramView } from './rewrite'
import { fromFloat32 } from './tensor'

describe('tidy', () => {
  it('drops dead ops and constants, merges equal ones, keeps inputs', () => {
    const b = programWith({ x: [2], unused: [3] })
    const twin = () => b.mul('x', b.constant(fromFloat32([1], Float32Array.of(3))))
    b.unary('Exp', b.add('x', b.constant(fromFloat32([2], Float32Array.of(1, 2)))))
    b.outputAs(b.add(b.unary('Tanh', twin()), twin()), 'y')
    const program = b.finish(['y'])
    expect(program.ops.map(({ op }) => op)).toEqual(['Mul', 'Tanh', 'Add'])
    expect(program.inputs).toEqual(['x', 'unused'])
    expect(program.constants.size).toBe(1)
    expect([...program.values.keys()].sort()).toEqual(
      [...new Set([...program.inputs, ...program.constants.keys(), ...program.ops.flatMap((op) => op.outputs)])].sort(),
    )
  })

  it('merges commuted sums but not differences, nor ops that differ in attributes', () => {
    const b = programWith({ x: [2, 2], z: [2, 2] })
    const parts = [
      b.add('x', 'z'),
      b.add('z', 'x'),
      b.sub('x', 'z'),
      b.sub('z', 'x'),
      b.matMul('x', 'z'),
      b.matMul('x', 'z', true),
    ]
    const program = b.finish([b.concat(parts, 0)])
    expect(program.ops.map(({ op }) => op)).toEqual(['Add', 'Sub', 'Sub', 'MatMul', 'MatMul', 'Concat'])
  })

  it('gives outputs their names without copies where it can, and copies where one value has two names', () => {
    const b = programWith({ x: [2] })
    const value = b.unary('Tanh', 'x')
    b.outputAs(value, 'first')
    b.outputAs(value, 'second')
    b.outputAs('x', 'echo')
    const program = b.finish(['first', 'second', 'echo'])
    expect(program.ops.map(({ op }) => op).sort()).toEqual(['Reshape', 'Reshape', 'Tanh'])
    const outputs = evaluateProgram(program, new Map([['x', [0.5, -1]]]))
    expect([...(outputs.get('second')?.data ?? [])]).toEqual([Math.tanh(0.5), Math.tanh(-1)])
    expect([...(outputs.get('first')?.data ?? [])]).toEqual([Math.tanh(0.5), Math.tanh(-1)])
    expect([...(outputs.get('echo')?.data ?? [])]).toEqual([0.5, -1])
  })

  it('never merges away an output that equals another', () => {
    const b = programWith({ x: [2] })
    b.outputAs(b.unary('Exp', 'x'), 'a')
    b.outputAs(b.unary('Exp', 'x'), 'b')
    const outputs = evaluateProgram(b.finish(['a', 'b']), new Map([['x', [0, 0]]]))
    expect([...outputs.keys()]).toEqual(['a', 'b'])
  })
})

describe('building', () => {
  it('refuses names that are taken and values it does not know', () => {
    const b = programWith({ x: [2] })
    expect(() => b.input('x', { dtype: 'float32', dims: [] })).toThrow(GraphError)
    expect(() => b.unary('Exp', 'nowhere')).toThrow(/no value 'nowhere'/)
    expect(() => new ProgramView(b.finish([])).type('y')).toThrow(GraphError)
  })

  it.each<[string, OpDraft, RegExp]>([
    [
      'a broadcast',
      { op: 'Add', name: '/n', inputs: ['x', 'z'], attrs: {} },
      /^Add '\/n' of \(float32\[2, 3\], float32\[4\]\): the shapes don't broadcast/,
    ],
    ['a product', { op: 'MatMul', name: '/n', inputs: ['x', 'x'], attrs: { transA: false, transB: false } }, /don't multiply/],
    ['a reshape', { op: 'Reshape', name: '/n', inputs: ['x'], attrs: { dims: [5] } }, /another size/],
    ['an axis', { op: 'Softmax', name: '/n', inputs: ['x'], attrs: { axis: 2 } }, /Softmax '\/n'.*axis 2 of rank 2/],
    ['a slice', { op: 'Slice', name: '/n', inputs: ['x'], attrs: { axis: 0, start: 1, end: 3 } }, /outside the axis/],
    ['a perm', { op: 'Transpose', name: '/n', inputs: ['x'], attrs: { perm: [0, 0] } }, /perm/],
    ['a norm', { op: 'RMSNorm', name: '/n', inputs: ['x', 'z'], attrs: { epsilon: 0 } }, /not \[H\]/],
    ['a missing input', { op: 'Sub', name: '/n', inputs: ['x'], attrs: {} }, /input 1 is missing/],
  ])('refuses %s that does not fit, naming op, node and shapes', (_, draft, message) => {
    expect(() => programWith({ x: [2, 3], z: [4] }).emit(draft)).toThrow(message)
  })
})
