/**
 * A program of a few ops that looks like a piece of a model (frozen weights, a normalisation, attention over two heads, a loss with
 * its gradient), small enough for every device, for tests of what engines do around the ops: counters, leaks, errors.
 */
import type { HostArray } from '../../src/engine/engine'
import { elementCount, type Tensor } from '../../src/graph/ir'
import type { Op, Program, ValueType } from '../../src/graph/program'
import { fromFloat32 } from '../../src/graph/tensor'
import { seeded } from './op-case'

const B = 2
const S = 5
const H = 8
const V = 11
const L = 3

function random(dims: readonly number[], seed: number): Float32Array {
  const next = seeded(seed)
  return Float32Array.from({ length: elementCount(dims) }, () => next() - 0.5)
}

const weight = (dims: readonly number[], seed: number): Tensor => fromFloat32(dims, random(dims, seed))

/** The same Tensor objects in every program made, as for the programs of one model. */
const CONSTANTS: ReadonlyMap<string, Tensor> = new Map([
  ['scale', weight([H], 1)],
  ['bias', weight([H], 2)],
  ['head', weight([H, V], 3)],
])

const OPS: readonly Op[] = [
  { op: 'LayerNorm', name: 'norm', inputs: ['x', 'scale', 'bias'], outputs: ['n'], attrs: { epsilon: 1e-5 } },
  { op: 'Reshape', name: 'split', inputs: ['n'], outputs: ['n4'], attrs: { dims: [B, S, 2, H / 2] } },
  { op: 'Transpose', name: 'heads', inputs: ['n4'], outputs: ['q'], attrs: { perm: [0, 2, 1, 3] } },
  { op: 'Attention', name: 'attention', inputs: ['q', 'q', 'q'], outputs: ['a', 'p'], attrs: { scale: 0.5 } },
  { op: 'Transpose', name: 'merge', inputs: ['a'], outputs: ['a4'], attrs: { perm: [0, 2, 1, 3] } },
  { op: 'Reshape', name: 'join', inputs: ['a4'], outputs: ['h'], attrs: { dims: [B, S, H] } },
  { op: 'GatherRows', name: 'labels', inputs: ['h', 'positions'], outputs: ['rows'], attrs: {} },
  { op: 'MatMul', name: 'head', inputs: ['rows', 'head'], outputs: ['logits'], attrs: { transA: false, transB: false } },
  { op: 'SoftmaxCrossEntropy', name: 'loss', inputs: ['logits', 'ids', 'weights'], outputs: ['loss', 'd_logits'], attrs: {} },
  { op: 'MatMul', name: 'head', inputs: ['d_logits', 'head'], outputs: ['d_rows'], attrs: { transA: false, transB: true } },
]

const float = (...dims: number[]): ValueType => ({ dtype: 'float32', dims })
const int = (...dims: number[]): ValueType => ({ dtype: 'int32', dims })

const VALUES: ReadonlyMap<string, ValueType> = new Map([
  ['x', float(B, S, H)],
  ['positions', int(B, L)],
  ['ids', int(B, L)],
  ['weights', float(B, L)],
  ['scale', float(H)],
  ['bias', float(H)],
  ['head', float(H, V)],
  ['n', float(B, S, H)],
  ['n4', float(B, S, 2, H / 2)],
  ['q', float(B, 2, S, H / 2)],
  ['a', float(B, 2, S, H / 2)],
  ['p', float(B, 2, S, S)],
  ['a4', float(B, S, 2, H / 2)],
  ['h', float(B, S, H)],
  ['rows', float(B, L, H)],
  ['logits', float(B, L, V)],
  ['loss', float()],
  ['d_logits', float(B, L, V)],
  ['d_rows', float(B, L, H)],
])

export function smallProgram(): Program {
  return {
    ops: OPS,
    inputs: ['x', 'positions', 'ids', 'weights'],
    outputs: ['loss', 'd_rows'],
    constants: CONSTANTS,
    values: VALUES,
  }
}

export function smallProgramFeeds(): Map<string, HostArray> {
  return new Map<string, HostArray>([
    ['x', random([B, S, H], 4)],
    ['positions', Int32Array.of(0, 2, 4, 1, 3, 3)],
    ['ids', Int32Array.of(1, 10, 0, 4, 4, 7)],
    ['weights', Float32Array.of(0.25, 0.25, 0, 0.25, 0.125, 0.125)],
  ])
}
