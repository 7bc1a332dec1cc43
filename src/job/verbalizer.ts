/**
 * The verbalizer: the template that turns an example's input into the text the model reads, as caikit-nlp's
 * toolkit/verbalizer_utils.py does, but stricter about what a template may hold (a mistake shows before training, not after).
 */
import { show } from './json-value'

/** caikit's placeholder: no spaces inside, case-sensitive. */
const PLACEHOLDER = /\{\{([_a-zA-Z0-9]+)\}\}/g
/** What someone who meant a placeholder may have written: spaces inside the braces, or a path such as {{row.input}}. */
const NEAR = /\{\{\s*([\w.-]+)\s*\}\}/g
/** One pair of braces too few, as in Python's format strings. */
const SINGLE = /\{\s*input\s*\}/

/**
 * Puts `input` in place of every {{input}}, left to right in one pass: what is inserted is not looked at again, and nothing in
 * it (`$&`, `{{input}}`) is special.
 */
export function renderVerbalizer(verbalizer: string, input: string): string {
  return verbalizer.replaceAll(PLACEHOLDER, (placeholder, name: string) => (name === 'input' ? input : placeholder))
}

/**
 * What is wrong with a template, or null: it must hold {{input}} and no other placeholder. Other text in braces ("{{}}", "{x}", "{{a b}}")
 * stays as it is written, as in caikit-nlp.
 */
export function verbalizerProblem(verbalizer: string): string | null {
  let found = false
  for (const [written, name = ''] of verbalizer.matchAll(NEAR)) {
    if (written === '{{input}}') {
      found = true
      continue
    }
    const given = show(written)
    if (name === 'input') return `${given} is not accepted: it has spaces inside the braces; write {{input}}`
    if (name === 'output')
      return `${given} is not accepted: it would show the model the answer it has to learn; give only {{input}}`
    return `${given} is not accepted: the only placeholder is {{input}}, in small letters and without spaces`
  }
  if (found) return null
  const hint = SINGLE.test(verbalizer) ? 'write it with two braces on each side' : 'write it where the input belongs'
  return `${show(verbalizer)} is not accepted: it does not hold {{input}}, so all examples would read the same; ${hint}`
}
