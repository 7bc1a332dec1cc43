/**
 * The verbalizer: the template that turns an example's input into the text the model reads, as caikit-nlp's
 * toolkit/verbalizer_utils.py does, but stricter about what a template may hold (a mistake shows before training, not after).
 */

/** caikit's placeholder: no spaces inside, case-sensitive. */
const PLACEHOLDER = /\{\{([_a-zA-Z0-9]+)\}\}/g
/** What someone who meant a placeholder may have written. */
const SPACED = /\{\{(\s+[_a-zA-Z0-9]+\s*|[_a-zA-Z0-9]+\s+)\}\}/

/**
 * Puts `input` in place of every {{input}}, left to right in one pass: what is inserted is not looked at again, and nothing in
 * it (`$&`, `{{input}}`) is special.
 */
export function renderVerbalizer(verbalizer: string, input: string): string {
  return verbalizer.replaceAll(PLACEHOLDER, (placeholder, name: string) => (name === 'input' ? input : placeholder))
}

/** What is wrong with a template, or null: it must hold {{input}} and no other placeholder. */
export function verbalizerProblem(verbalizer: string): string | null {
  const spaced = SPACED.exec(verbalizer)
  if (spaced) {
    const name = (spaced[1] ?? '').trim()
    return `${JSON.stringify(spaced[0])} has spaces inside the braces; write ${name === 'input' ? '{{input}}' : 'only {{input}}, without spaces'}`
  }
  const names = [...verbalizer.matchAll(PLACEHOLDER)].map((match) => match[1] ?? '')
  if (names.includes('output')) return '{{output}} would show the model the answer it has to learn; only {{input}} is accepted'
  const other = names.find((name) => name !== 'input')
  if (other !== undefined) return `{{${other}}} is not a placeholder; only {{input}} is accepted (in small letters)`
  if (!names.includes('input'))
    return `${JSON.stringify(verbalizer.slice(0, 80))} does not hold {{input}}; the example's input must go somewhere`
  return null
}
