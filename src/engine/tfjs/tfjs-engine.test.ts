import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { errorOf } from '../../../test/support/op-cases'
import { smallProgram, smallProgramFeeds } from '../../../test/support/small-program'
import { evaluateProgram } from '../../../test/support/evaluate-program'
import type { Program } from '../../graph/program'
import { fromFloat32, fromIntegers } from '../../graph/tensor'
import { EngineError, type Engine } from '../engine'
import { probeWebGPU } from './backend'
import { createTfjsEngine } from './tfjs-engine'

const float = (...dims: number[]) => ({ dtype: 'float32', dims }) as const

/** y = x + mask, with the mask a constant of the program. */
function maskProgram(mask: number[]): Program {
  return {
    ops: [
      { op: 'Add', name: 'mask', inputs: ['x', 'mask'], outputs: ['masked'], attrs: {} },
      { op: 'Softmax', name: 'softmax', inputs: ['masked'], outputs: ['p'], attrs: { axis: 1 } },
    ],
    inputs: ['x'],
    outputs: ['p'],
    constants: new Map([['mask', fromFloat32([1, mask.length], Float32Array.from(mask))]]),
    values: new Map([
      ['x', float(1, mask.length)],
      ['mask', float(1, mask.length)],
      ['masked', float(1, mask.length)],
      ['p', float(1, mask.length)],
    ]),
  }
}

let engine: Engine
beforeAll(async () => {
  engine = await createTfjsEngine({ backend: 'cpu' })
})
afterAll(() => engine.dispose())

describe('running a program', () => {
  it('computes what the reference does', async () => {
    const program = smallProgram()
    const executable = await engine.load(program)
    const outputs = await executable.run(smallProgramFeeds())
    // float32 over ten ops: 1e-6 each at most.
    expect(errorOf({ name: 'small', program, feeds: smallProgramFeeds(), tolerance: 1e-5 }, outputs)).toBeLessThan(1e-5)
    expect(evaluateProgram(program, smallProgramFeeds()).get('loss')?.data[0]).toBeCloseTo(outputs.get('loss')?.[0] ?? NaN, 5)
    await executable.dispose()
  })

  it('keeps tensors and bytes constant over a hundred runs, and gives them back', async () => {
    const before = engine.counters()
    const executable = await engine.load(smallProgram())
    await executable.run(smallProgramFeeds())
    const first = engine.counters()
    for (let i = 1; i < 100; i++) await executable.run(smallProgramFeeds())
    expect(engine.counters()).toEqual(first)
    await executable.dispose()
    await executable.dispose()
    expect(engine.counters().live_tensors).toBe(first.live_tensors - smallProgram().constants.size)
    expect(engine.counters().live_tensors).toBeGreaterThanOrEqual(before.live_tensors)
  })

  it('uploads a weight once for all programs that share it', async () => {
    const first = await engine.load(smallProgram())
    const one = engine.counters()
    const second = await engine.load(smallProgram())
    expect(engine.counters()).toEqual(one)
    await first.dispose()
    expect(engine.counters()).toEqual(one)
    expect((await second.run(smallProgramFeeds())).get('loss')).toHaveLength(1)
    await second.dispose()
    expect(engine.counters().bytes).toBeLessThan(one.bytes)
  })

  it('does not let outputs share memory with feeds or weights', async () => {
    const x = Float32Array.of(1, 2)
    const program: Program = {
      ops: [{ op: 'Reshape', name: 'same', inputs: ['x'], outputs: ['y'], attrs: { dims: [2, 1] } }],
      inputs: ['x'],
      outputs: ['y', 'x', 'w'],
      constants: new Map([['w', fromFloat32([1], Float32Array.of(7))]]),
      values: new Map([
        ['x', float(2)],
        ['y', float(2, 1)],
        ['w', float(1)],
      ]),
    }
    const executable = await engine.load(program)
    const first = await executable.run(new Map([['x', x]]))
    for (const values of first.values()) values.fill(99)
    expect([...x]).toEqual([1, 2])
    const second = await executable.run(new Map([['x', x]]))
    expect([...second].map(([name, values]) => [name, ...values])).toEqual([
      ['y', 1, 2],
      ['x', 1, 2],
      ['w', 7],
    ])
    await executable.dispose()
  })

  it('gives a fully masked row a softmax, whether masked by -Infinity or the least float32', async () => {
    for (const mask of [-Infinity, -3.4028234663852886e38]) {
      const executable = await engine.load(maskProgram([mask, mask]))
      const outputs = await executable.run(new Map([['x', Float32Array.of(1, 2)]]))
      expect([...(outputs.get('p') ?? [])]).toEqual([0.5, 0.5])
      await executable.dispose()
    }
  })

  it('answers for tensors without elements', async () => {
    const program: Program = {
      ops: [
        { op: 'MatMul', name: 'nothing', inputs: ['a', 'b'], outputs: ['ab'], attrs: { transA: false, transB: false } },
        { op: 'Neg', name: 'minus', inputs: ['a'], outputs: ['minus'], attrs: {} },
        { op: 'Concat', name: 'both', inputs: ['minus', 'c'], outputs: ['joined'], attrs: { axis: 1 } },
      ],
      inputs: ['a', 'b', 'c'],
      outputs: ['ab', 'minus', 'joined'],
      constants: new Map(),
      values: new Map([
        ['a', float(2, 0)],
        ['b', float(0, 3)],
        ['c', float(2, 1)],
        ['ab', float(2, 3)],
        ['minus', float(2, 0)],
        ['joined', float(2, 1)],
      ]),
    }
    const executable = await engine.load(program)
    const none = new Float32Array(0)
    const outputs = await executable.run(
      new Map([
        ['a', none],
        ['b', none],
        ['c', Float32Array.of(4, 5)],
      ]),
    )
    expect([...outputs].map(([, values]) => [...values])).toEqual([[0, 0, 0, 0, 0, 0], [], [4, 5]])
    await executable.dispose()
  })
})

describe('what it refuses', () => {
  const feedsWithout = (name: string) => {
    const feeds = smallProgramFeeds()
    feeds.delete(name)
    return feeds
  }

  it.each([
    ['a missing input', feedsWithout('ids'), /'ids' was not fed/],
    ['a wrong length', smallProgramFeeds().set('x', new Float32Array(3)), /'x' is float32 \[2, 5, 8\].*Float32Array of 3/],
    ['a wrong type', smallProgramFeeds().set('ids', new Float32Array(6)), /'ids' is int32.*Float32Array of 6/],
  ])('%s', async (_, feeds, message) => {
    const executable = await engine.load(smallProgram())
    const before = engine.counters()
    await expect(executable.run(feeds)).rejects.toThrow(message)
    await expect(executable.run(feeds)).rejects.toThrow(EngineError)
    expect(engine.counters().live_tensors).toBe(before.live_tensors)
    await executable.dispose()
  })

  it('overlapping runs, and runs of what was disposed', async () => {
    const other = await createTfjsEngine({ backend: 'cpu' })
    const executable = await other.load(smallProgram())
    const running = executable.run(smallProgramFeeds())
    await expect(executable.run(smallProgramFeeds())).rejects.toThrow(/one program at a time/)
    await running
    await executable.dispose()
    await expect(executable.run(smallProgramFeeds())).rejects.toThrow(/program was disposed/)
    await other.dispose()
    await other.dispose()
    await expect(other.load(smallProgram())).rejects.toThrow(/engine was disposed/)
  })

  it('a program that reads what nothing made, or lacks a type', async () => {
    const { values, ...rest } = smallProgram()
    await expect(engine.load({ ...rest, values, inputs: ['x', 'positions', 'weights'] })).rejects.toThrow(
      /SoftmaxCrossEntropy 'loss' reads 'ids' before anything makes it/,
    )
    const untyped = new Map(values)
    untyped.delete('logits')
    await expect(engine.load({ ...rest, values: untyped })).rejects.toThrow(/no type for 'logits'/)
  })

  it('a result that is not what the program says, naming the op', async () => {
    const { values, ...rest } = smallProgram()
    const executable = await engine.load({ ...rest, values: new Map(values).set('logits', float(2, 3, 12)) })
    const before = engine.counters().live_tensors
    await expect(executable.run(smallProgramFeeds())).rejects.toThrow(/MatMul 'head' gave float32 \[2, 3, 11\]; the program says/)
    expect(engine.counters().live_tensors).toBeLessThanOrEqual(before + 4)
    await executable.dispose()
  })

  it('integers that do not fit the device, and constants of another size', async () => {
    const program = (data: number[], dims: number[]): Program => ({
      ops: [{ op: 'Add', name: 'add', inputs: ['i', 'i'], outputs: ['j'], attrs: {} }],
      inputs: [],
      outputs: ['j'],
      constants: new Map([['i', fromIntegers('int64', [data.length], data)]]),
      values: new Map([
        ['i', { dtype: 'int32', dims }],
        ['j', { dtype: 'int32', dims }],
      ]),
    })
    await expect(engine.load(program([1, 2 ** 40], [2]))).rejects.toThrow(/'i': 1099511627776 at 1 is no 32-bit integer/)
    await expect(engine.load(program([1, 2], [3]))).rejects.toThrow(/'i' has 2 elements, the program says \[3\]/)
  })
})

it('says why there is no WebGPU in Node', async () => {
  expect(await probeWebGPU()).toEqual({
    available: false,
    description: expect.stringContaining('no WebGPU') as string,
    is_fallback_adapter: false,
  })
  await expect(createTfjsEngine({ backend: 'webgpu' })).rejects.toThrow()
})
