import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { renderVerbalizer, verbalizerProblem } from './verbalizer'

describe('verbalizer', () => {
  test('one pass, literal', () => {
    expect(renderVerbalizer('a {{input}} b {{input}}', '$& {{input}} $1')).toBe('a $& {{input}} $1 b $& {{input}} $1')
    expect(renderVerbalizer('{{{input}}}', 'x')).toBe('{x}')
    expect(renderVerbalizer('{{}} {{foo bar}} {{other}}', 'x')).toBe('{{}} {{foo bar}} {{other}}')
    fc.assert(fc.property(fc.string(), (input) => renderVerbalizer('<{{input}}>', input) === `<${input}>`))
  })
  test('problems say what to write', () => {
    expect(verbalizerProblem('Tweet: {{input}} Label:')).toBeNull()
    expect(verbalizerProblem('{{ input }}')).toMatch(/write \{\{input\}\}/)
    expect(verbalizerProblem('{{input}} {{output}}')).toMatch(/answer/)
    expect(verbalizerProblem('{{Input}}')).toMatch(/\{\{Input\}\}/)
    expect(verbalizerProblem('no placeholder')).toMatch(/does not hold \{\{input\}\}/)
    expect(verbalizerProblem('')).toMatch(/does not hold/)
    expect(verbalizerProblem('{input} ->')).toMatch(/two braces/)
    expect(verbalizerProblem('{{input}} {{ input }}')).toMatch(/spaces/)
    expect(verbalizerProblem('{{row.input}}')).toMatch(/only placeholder is \{\{input\}\}/)
    expect(verbalizerProblem('{{text}} {{input}}')).toMatch(/^"\{\{text\}\}"/)
  })
  test('other braces are text', () => {
    for (const template of ['{{}} {{input}}', '{x} {{input}}', '{{a b}} {{input}}', '{{{input}}}', '{{input}}{{input}}'])
      expect(verbalizerProblem(template), template).toBeNull()
  })
  test('what it lets through has its input in place of {{input}}, and no message is long', () => {
    const piece = fc.constantFrom('{{', '}}', '{', '}', 'input', 'output', ' ', '.', 'x', '{{input}}')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const template = pieces.join('')
        const problem = verbalizerProblem(template)
        if (problem === null) expect(renderVerbalizer(template, '§')).toContain('§')
        else expect(problem.length).toBeLessThan(300)
      }),
    )
    for (const huge of ['{{', '{{ ', '{{input', ' ', '{{a', '{{a.'].map((text) => text.repeat(300_000)))
      expect(verbalizerProblem(huge)?.length).toBeLessThan(300)
    expect(verbalizerProblem(`{{${' '.repeat(1e6)}input${' '.repeat(1e6)}}`)?.length).toBeLessThan(300)
  })
})
