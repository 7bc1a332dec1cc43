import { describe, expect, it } from 'vitest'
import { checkJob } from '../../job/check-job'
import type { Field } from '../../job/field'
import { fields } from '../../job/parameters'
import { messageFor, nameOf, textOf, valueOf } from './field-text'

const field = (path: string): Field => {
  const found = fields().find((one) => one.path === path)
  if (!found) throw new Error(path)
  return found
}

describe('fields and text', () => {
  it('reads what was typed', () => {
    expect(valueOf(field('num_epochs'), ' 12 ')).toBe(12)
    expect(valueOf(field('num_epochs'), 'many')).toBe('many')
    expect(valueOf(field('num_epochs'), '')).toBe('')
    expect(valueOf(field('early_stopping_patience'), '')).toBeNull()
    expect(valueOf(field('learning_rate'), 'Auto')).toBe('auto')
    expect(valueOf(field('learning_rate'), '1e-3')).toBe(0.001)
    expect(valueOf(field('verbalizer'), ' {{input}} ')).toBe(' {{input}} ')
  })

  it('every default survives being shown and typed again', () => {
    for (const one of fields()) {
      if (one.type === 'choices' || one.type === 'boolean' || one.default === undefined) continue
      expect(valueOf(one, textOf(one.default)), one.path).toEqual(one.default)
    }
  })

  it('every wrong number leads to a message that says what to give', () => {
    for (const one of fields()) {
      if (one.type !== 'integer' && one.type !== 'number') continue
      const [key, inner] = one.path.split('.')
      const wrong = valueOf(one, '-7x')
      const checked = checkJob({ base_model: 'm', [key ?? '']: inner === undefined ? wrong : { [inner]: wrong } })
      const problem = checked.ok ? undefined : checked.problems.find((at) => at.field === one.path)
      expect(problem && messageFor(problem.message), one.path).toMatch(/^Give /)
    }
  })

  it('an empty box is told what it wants, a full one why not', () => {
    const config = { prompt_tuning_init_method: 'TEXT' }
    const problems = (job: object) => {
      const checked = checkJob({ base_model: 'm', ...job })
      return checked.ok ? [] : checked.problems.map(({ message }) => messageFor(message))
    }
    expect(problems({ tuning_config: config })).toEqual(['Give the text to start from'])
    expect(problems({ tuning_config: { num_tasks: 3 } })).toEqual([expect.stringContaining('3 is not accepted with')])
  })

  it('names defaults', () => {
    expect([nameOf(null), nameOf(true), nameOf(['A', 'B']), nameOf('auto'), nameOf(0.2)]).toEqual([
      'empty',
      'on',
      'A, B',
      'auto',
      '0.2',
    ])
  })
})
