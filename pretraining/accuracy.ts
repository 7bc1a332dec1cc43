/**
 * How well the embedded encoder-decoder does each task when told to, in fp32 and q8: `npx tsx pretraining/accuracy.ts rows.jsonl`, with the rows
 * of task_rows.py. Greedy, through plain transformers.js on onnxruntime's wasm build; prints a table of exact match.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import { env, openAnswerer } from '../test/support/transformers'

const MODEL = 'promptlathe/tiny-seq2seq'
const MAX_NEW_TOKENS = 40
const DTYPES = ['fp32', 'q8'] as const
const RowSchema = v.object({ task: v.string(), input: v.string(), output: v.string() })

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('Which rows? python3 pretraining/task_rows.py 40 > rows.jsonl')
const rows = readFileSync(path, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => v.parse(RowSchema, JSON.parse(line)))
env.localModelPath = join(dirname(fileURLToPath(import.meta.url)), '..', 'public', 'models')

const right = new Map<string, number>()
for (const dtype of DTYPES) {
  const model = await openAnswerer(MODEL, dtype)
  for (const { task, input, output } of rows) {
    const key = `${task} ${dtype}`
    const correct = (await model.answer(input, MAX_NEW_TOKENS)).trim() === output
    right.set(key, (right.get(key) ?? 0) + Number(correct))
  }
  await model.close()
}
console.log(`| task | ${DTYPES.join(' | ')} |\n|---|${DTYPES.map(() => '---').join('|')}|`)
for (const task of new Set(rows.map((row) => row.task))) {
  const count = rows.filter((row) => row.task === task).length
  const shares = DTYPES.map((dtype) => ((right.get(`${task} ${dtype}`) ?? 0) / count).toFixed(2))
  console.log(`| ${task} | ${shares.join(' | ')} |`)
}
