import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Sha256, sha256 } from './sha256'

const reference = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

describe('sha256', () => {
  test('equals node:crypto for any message however it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }), (pieces) => {
        const hash = new Sha256()
        for (const piece of pieces) hash.update(piece)
        expect(hash.hex()).toBe(reference(Buffer.concat(pieces)))
      }),
    )
  })

  test('put down and taken up again anywhere, it is the same hash', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }), (pieces) => {
        let hash = new Sha256()
        for (const piece of pieces) hash = Sha256.resume(structuredClone(hash.update(piece).save()))
        expect(hash.hex()).toBe(reference(Buffer.concat(pieces)))
      }),
    )
  })

  test('every length around the padding boundary, and unaligned views', () => {
    const bytes = Uint8Array.from({ length: 400 }, (_, i) => (i * 7) & 255)
    for (let length = 0; length < 200; length++)
      expect(sha256(bytes.subarray(3, 3 + length))).toBe(reference(bytes.subarray(3, 3 + length)))
  })

  test('a message of several MiB', () => {
    const bytes = new Uint8Array(5 * 2 ** 20 + 13).fill(0xa5)
    expect(sha256(bytes)).toBe(reference(bytes))
  })
})
