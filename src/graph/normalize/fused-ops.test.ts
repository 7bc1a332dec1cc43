/** Rules of fused ops against onnxruntime, and the gradients of what they become against central differences. */
import { describe, expect, it } from 'vitest'
import { gradientError } from '../../../test/support/gradient-check'
import { expectLikeOnnxruntime, programOf, x234 } from '../../../test/support/rule-case'
import { FUSED_CASES } from '../../../test/support/rule-cases-fused'

describe.each(FUSED_CASES.map((test) => [test.title, test] as const))('%s', (_, test) => {
  it('like onnxruntime', () => expectLikeOnnxruntime(test))

  it('gradient', () => {
    const program = programOf(test)
    const x = (test.x ?? x234).data
    expect(gradientError(program, 'y', 'x', 1, new Map([['x', x]]))).toBeLessThan(1e-6)
  })
})
