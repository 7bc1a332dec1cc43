/** Rules of packed weights against onnxruntime, their gradients against central differences, and what is refused. */
import { describe, expect, it } from 'vitest'
import { gradientError } from '../../../test/support/gradient-check'
import { floats } from '../../../test/support/onnx'
import { domainNode, expectLikeOnnxruntime, f, programOf, wave } from '../../../test/support/rule-case'
import { PACKED_CASES } from '../../../test/support/rule-cases-packed'
import { fromIntegers } from '../tensor'

describe.each(PACKED_CASES.map((test) => [test.title, test] as const))('%s', (_, test) => {
  it('like onnxruntime', () => expectLikeOnnxruntime(test))

  it('gradient', () => {
    const program = programOf(test)
    const x = test.x?.data ?? []
    expect(gradientError(program, 'y', 'x', 1, new Map([['x', x]]))).toBeLessThan(1e-6)
  })
})

it('a packed weight stays the bytes of the file, one constant for both orientations', () => {
  const test = PACKED_CASES.find(({ title }) => title.startsWith('two products share'))
  if (!test) throw new Error('no such case')
  const { constants, ops } = programOf(test)
  expect([...constants.values()].filter(({ dtype }) => dtype === 'int8')).toEqual([test.constants?.['w']])
  expect(ops.map(({ attrs }) => 'transposed' in attrs && attrs.transposed)).toEqual([false, true])
})

describe('what a rule refuses, by name', () => {
  const nBits = (attributes: Record<string, number>, extra: Parameters<typeof programOf>[0]['constants'] = {}) => {
    const inputs = ['x', 'w', 's', ...('g' in extra ? ['', 'g'] : [])]
    return () =>
      programOf({
        title: '',
        nodes: [domainNode('com.microsoft.MatMulNBits', inputs, ['y'], { K: 32, N: 4, bits: 4, block_size: 16, ...attributes })],
        constants: { w: fromIntegers('uint8', [4, 2, 8], new Array<number>(64).fill(7)), s: f([8]), ...extra },
        x: floats([2, 32], wave(64)),
      })
  }

  it('bits and blocks nobody packs', () => {
    expect(nBits({ bits: 3 })).toThrow(/MatMulNBits 'MatMulNBits_0': 3 bits are not supported/)
    expect(nBits({ block_size: 24 })).toThrow(/block_size 24 is no power of two/)
  })

  it('weights of another size', () => {
    expect(nBits({ N: 5 })).toThrow(/take 80 bytes, there are 64/)
    expect(nBits({}, { s: f([7]) })).toThrow(/have 8 blocks, there are 7 scales/)
  })

  it('inputs in another order', () => {
    const reversed = Array.from({ length: 32 }, (_, i) => Math.floor((31 - i) / 16))
    expect(nBits({}, { g: fromIntegers('int32', [32], reversed) })).toThrow(/its g_idx puts the inputs into another order/)
  })

  it('bnb4 blocks that cut rows', () => {
    const attributes = { K: 24, N: 4, block_size: 16, quant_type: 1 }
    const test = () =>
      programOf({
        title: '',
        nodes: [domainNode('com.microsoft.MatMulBnb4', ['x', 'w', 's'], ['y'], attributes)],
        constants: { w: fromIntegers('uint8', [48], new Array<number>(48).fill(7)), s: f([6]) },
        x: floats([2, 24], wave(48)),
      })
    expect(test).toThrow(/MatMulBnb4 'MatMulBnb4_0': blocks of 16 numbers don't end with rows of 24/)
  })
})
