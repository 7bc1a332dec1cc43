import { describe, expect, it } from 'vitest'
import { EXPORT_FORMATS } from '../../library/export-formats'
import { multitaskOf } from '../../../test/support/prompt-summaries'
import { exportChoices, taskFor } from './export-choices'

const names = (multitask: ReturnType<typeof multitaskOf>): string[] => exportChoices({ multitask }).map(({ format }) => format)

describe('forms to take a prompt away in', () => {
  it('a plain prompt is flat already; any other takes every form there is', () => {
    expect(names(null)).toEqual(EXPORT_FORMATS.filter((format) => format !== 'peft_flat'))
    expect(names(multitaskOf(['a']))).toEqual([...EXPORT_FORMATS])
  })

  it('only a prompt of several tasks has one to choose, and only where the format holds one', () => {
    const asking = (multitask: ReturnType<typeof multitaskOf>): string[] =>
      exportChoices({ multitask }).flatMap((choice) => (choice.asksTask ? [choice.format] : []))
    expect(asking(null)).toEqual([])
    expect(asking(multitaskOf(['a']))).toEqual([])
    expect(asking(multitaskOf(['a', 'b']))).toEqual(['peft_flat', 'caikit', 'baked'])
    const tasks = exportChoices({ multitask: multitaskOf(['a', 'b']) }).map((choice) => taskFor(choice, 'b'))
    expect(tasks).toEqual([null, 'b', 'b', 'b'])
  })
})
