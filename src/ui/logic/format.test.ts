import { describe, expect, it } from 'vitest'
import { bytes, clipped, duration, figure, fileName, freshName, magnitude, percent, plural, rate, visible } from './format'

describe('format', () => {
  it('sizes and counts', () => {
    expect([bytes(0), bytes(1023), bytes(1536), bytes(4718592), bytes(5e12)]).toEqual([
      '0 B',
      '1023 B',
      '1.5 KiB',
      '4.5 MiB',
      '4.5 TiB',
    ])
    expect([magnitude(950), magnitude(31_620), magnitude(3_162_048), magnitude(1.1e9)]).toEqual(['950', '32 k', '3.2 M', '1.1 B'])
    expect([plural(1, 'row'), plural(1200, 'row'), plural(0, 'copy', 'copies')]).toEqual(['1 row', '1,200 rows', '0 copies'])
  })

  it('figures keep three significant digits', () => {
    expect([
      figure(2.74693),
      figure(2166.7),
      figure(53012),
      figure(0.0312),
      figure(0.00012),
      figure(0),
      figure(null),
      figure(NaN),
      figure(Infinity),
    ]).toEqual(['2.75', '2,170', '53,000', '0.0312', '1.2e-4', '0', '–', '–', '∞'])
    expect([rate(0.01), rate(0.0025499), rate(0.00003), rate(0.000255)]).toEqual(['0.01', '0.00255', '3e-5', '2.55e-4'])
    expect([percent(0.8649), percent(null), percent(1)]).toEqual(['86 %', '–', '100 %'])
  })

  it('durations', () => {
    expect([0.034, 0.34, 8.2, 9.97, 59.6, 200, 660, 7500, NaN].map(duration)).toEqual([
      '34 ms',
      '0.3 s',
      '8 s',
      '10 s',
      '1 min',
      '3 min 20 s',
      '11 min',
      '2 h 5 min',
      '–',
    ])
  })

  it('clips long texts, never through a character', () => {
    expect(clipped('short')).toBe('short')
    expect(clipped('abcdef', 3)).toBe('abc…')
    expect(clipped('ab😀cd', 3)).toBe('ab…')
  })

  it('shows white space at the ends only', () => {
    expect(visible(' a b  ')).toBe('␣a b␣␣')
    expect(visible('a\nb')).toBe('a⏎b')
    expect(visible('  ')).toBe('␣␣')
  })

  it('makes safe file names', () => {
    expect(fileName('../Über task: 1', 'zip')).toBe('U-ber-task-1.zip')
    expect(fileName('...', 'json')).toBe('prompt.json')
  })

  it('finds a name that is free', () => {
    expect([freshName('A', []), freshName('A', ['A', 'A 2']), freshName(' ', [])]).toEqual(['A', 'A 3', 'Prompt'])
  })
})
