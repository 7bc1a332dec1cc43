/**
 * `npx tsx bench/phrasings.ts NAME ["INSTRUCTION" ...]`: how many of a sample's held-out rows the untuned embedded model gets exactly right with each
 * instruction in front, beside the one the sample has; to be fair to the words, the best is kept as its baseline_text_prompt. Greedy, plain
 * transformers.js, the fp32 file.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { ROOT } from '../cli/serve'
import { continueText, env, openAnswerer } from '../test/support/transformers'

const MAX_NEW_TOKENS = 24
const DTYPE = 'fp32'
const SampleSchema = v.object({
  job: v.object({
    base_model: v.optional(v.string(), 'promptlathe/tiny-causal'),
    verbalizer: v.optional(v.string(), '{{input}}'),
    baseline_text_prompt: v.optional(v.string(), ''),
  }),
  validation: v.array(v.object({ input: v.string(), output: v.string() })),
})

const [name, ...given] = process.argv.slice(2)
if (name === undefined) throw new Error('Which sample? npx tsx bench/phrasings.ts spam "Is it spam?"')
env.localModelPath = join(ROOT, 'public', 'models')
const { job, validation } = v.parse(
  SampleSchema,
  JSON.parse(readFileSync(join(ROOT, 'public', 'samples', `${name}.json`), 'utf8')),
)
const { base_model, verbalizer, baseline_text_prompt } = job
const answerer = verbalizer === '{{input}}' ? await openAnswerer(base_model, DTYPE) : null
for (const instruction of new Set([baseline_text_prompt, ...given])) {
  let right = 0
  for (const { input, output } of validation) {
    const source = `${instruction}\n${verbalizer.replaceAll('{{input}}', input)}`
    const said = answerer
      ? await answerer.answer(source, MAX_NEW_TOKENS)
      : await continueText(base_model, source, DTYPE, MAX_NEW_TOKENS)
    right += Number(said.trim() === output.trim())
  }
  console.log(`${((100 * right) / validation.length).toFixed(0)} %  ${instruction}`)
}
await answerer?.close()
