import { describe, expect, test } from 'vitest'
import { parseJobFile } from './job-file'

describe('parseJobFile', () => {
  const base = { base_model: 'm' }
  test('paths and inline records', () => {
    const parsed = parseJobFile({ ...base, name: 'n', train: 'data/train.csv', validation: [{ text: 'a', labels: ['b', 'c'] }] })
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
    expect(parsed.file.train).toEqual({ kind: 'path', path: 'data/train.csv' })
    expect(parsed.file.validation).toMatchObject({ kind: 'inline', records: { examples: [{ input: 'a', output: 'b,c' }] } })
    expect(parsed.file.name).toBe('n')
  })
  test('validation may be a share; records of other shapes are named', () => {
    const parsed = parseJobFile({
      ...base,
      train: [{ q: 'a', a: 'b' }, { q: '' }],
      validation: 0.5,
      columns: { input: 'q', output: 'a' },
    })
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
    expect(parsed.file.job.validation).toBe(0.5)
    expect(parsed.file.validation).toBeNull()
    expect(parsed.notices[0]).toMatch(/record 2.*"q" is empty/)
  })
  test('columns may name a task, and their keys are checked', () => {
    const columns = { input: 'q', output: 'a', task: 't' }
    const parsed = parseJobFile({ ...base, train: 'a.csv', columns })
    expect(parsed.ok && parsed.file.columns).toEqual(columns)
    // Records that could not be understood for want of their columns are not named as well.
    const wrong = parseJobFile({ ...base, train: [{ q: 'x', a: 'y' }], columns: { input: 'q', outputs: 'a' } })
    expect(wrong.ok ? [] : wrong.problems).toEqual([
      { field: 'columns', message: expect.stringMatching(/^the key "outputs".*"output"/) as unknown },
    ])
  })
  test('a share in quotes is named as such; a typo of train leads to train', () => {
    const parsed = parseJobFile({ ...base, trian: 'a.csv', validation: '0.2' })
    const problems = parsed.ok ? [] : parsed.problems.map(({ field, message }) => `${field}: ${message}`)
    expect(problems).toEqual([
      'trian: no such field; the nearest is train',
      expect.stringMatching(/^train: missing; give the path/),
      expect.stringMatching(/^validation: "0.2" is text; give the number 0.2, or/),
    ])
  })
  test('what is right of a wrong file can be checked further', () => {
    const parsed = parseJobFile({ ...base, num_epochs: 0, batch_size: 3, train: 'a.csv' })
    if (parsed.ok) throw new Error('it is wrong')
    expect(parsed.rest).toMatchObject({ job: { batch_size: 3, num_epochs: 20 }, train: { kind: 'path', path: 'a.csv' } })
  })
  test('problems of data and job come together', () => {
    const parsed = parseJobFile({ num_epochs: 0, train: [], validation: {}, name: 3, trian: 'x' })
    expect(parsed.ok ? [] : parsed.problems.map(({ field }) => field).sort()).toEqual(
      ['base_model', 'name', 'num_epochs', 'train', 'trian', 'validation'].sort(),
    )
  })
})
