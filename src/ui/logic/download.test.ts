import { describe, expect, it } from 'vitest'
import { keptSentence, overall, timeLeft, type FileState } from './download'

const file = (name: string, loaded: number, total: number | null, rest: Partial<FileState> = {}): FileState => ({
  file: name,
  loaded,
  total,
  stage: 'download',
  speed: null,
  ...rest,
})

describe('a download', () => {
  it('counts the files that are still to come, where they are known', () => {
    const expected = new Map([
      ['config.json', 10],
      ['onnx/model.onnx', 1000],
    ])
    expect(overall([file('config.json', 10, 10)], expected)).toMatchObject({ loaded: 10, total: 1010, seconds_left: null })
    const running = [file('config.json', 10, 10), file('onnx/model.onnx', 400, 1000, { speed: 100 })]
    expect(overall(running, expected)).toEqual({ loaded: 410, total: 1010, speed: 100, seconds_left: 6 })
  })

  it('says no total and no time that it does not know', () => {
    expect(overall([file('a', 5, 10, { speed: 1 })], null)).toMatchObject({ loaded: 5, total: null, seconds_left: null })
    expect(overall([file('a', 5, null, { speed: 1 })], new Map())).toMatchObject({ total: null })
    expect(overall([file('a', 5, 10, { speed: 1 })], new Map([['b', null]]))).toMatchObject({ total: null })
    expect(timeLeft(5, 10, 0)).toBeNull()
    expect(timeLeft(11, 10, 1)).toBeNull()
  })

  it('is never beyond its total, though more arrives than was announced', () => {
    const { loaded, total } = overall([file('a', 30, 10, { speed: 1 })], new Map([['a', 10]]))
    expect(total).toBe(30)
    expect(loaded).toBe(30)
  })

  it('says what is kept of it', () => {
    expect(keptSentence([], 0)).toBeNull()
    expect(keptSentence([file('a', 1, 2)], 0)).toBe('No file had arrived whole yet; trying again goes on with a.')
    expect(keptSentence([file('a', 1024, 1024), file('onnx/b', 1, 2)], 2048)).toBe(
      '1 file that had arrived whole (1.0 KiB) is kept; of those that had not, 2.0 KiB are kept; trying again goes on with onnx/b.',
    )
    expect(keptSentence([file('a', 1, 1), file('b', 1, 1), file('c', 0, null, { stage: 'prepare' })], 0)).toBe(
      '2 files that had arrived whole (2 B) are kept.',
    )
  })
})
