/**
 * How well an embedded model's exported files do the families of the mixture, in fp32, q8 and q4, and how often the smaller files say what fp32
 * says: `npx tsx pretraining/accuracy.ts promptlathe/tiny-causal rows.jsonl`, with the rows of task_rows.py. Greedy, through plain
 * transformers.js on onnxruntime's wasm build; prints a table of exact match. A third argument is another folder of models than public/models.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import { env, openAnswerer, openContinuer } from '../test/support/transformers'

const MAX_NEW_TOKENS = 40
const DTYPES = { fp32: '', q8: '_quantized', q4: '_q4' } as const
const RowSchema = v.object({ task: v.string(), shape: v.string(), context: v.string(), input: v.string(), output: v.string() })
type Row = v.InferOutput<typeof RowSchema>

const [model_id, path, root] = process.argv.slice(2)
if (model_id === undefined || path === undefined) {
  throw new Error('Which model and rows? python3 pretraining/task_rows.py 2 > rows.jsonl')
}
const rows = readFileSync(path, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => v.parse(RowSchema, JSON.parse(line)))
env.localModelPath = root ?? join(dirname(fileURLToPath(import.meta.url)), '..', 'public', 'models')
const folder = join(env.localModelPath, model_id, 'onnx')
const isSeq2seq = existsSync(join(folder, 'encoder_model.onnx'))
const stem = isSeq2seq ? 'encoder_model' : 'model'
const dtypes = (Object.keys(DTYPES) as (keyof typeof DTYPES)[]).filter((dtype) =>
  existsSync(join(folder, `${stem}${DTYPES[dtype]}.onnx`)),
)

/** What the model is asked: an encoder-decoder takes an instructed input as it is, all else ends in an open line. */
const textOf = ({ context, input, shape }: Row): string => context + input + (isSeq2seq && shape === 'instructed' ? '' : ' ->')

const answers = new Map<string, string[]>()
for (const dtype of dtypes) {
  const model = await (isSeq2seq ? openAnswerer : openContinuer)(model_id, dtype)
  const said: string[] = []
  // A causal model goes on with the next line of a list.
  for (const row of rows) said.push(((await model.answer(textOf(row), MAX_NEW_TOKENS)).split('\n')[0] ?? '').trim())
  answers.set(dtype, said)
  await model.close()
}

const share = (right: readonly boolean[]): string => (right.filter(Boolean).length / right.length).toFixed(3)
const said = (dtype: string): readonly string[] => answers.get(dtype) ?? []
console.log(`| | ${dtypes.join(' | ')} |\n| --- |${dtypes.map(() => ' --- |').join('')}`)
for (const shape of new Set(rows.map((row) => row.shape))) {
  const cells = dtypes.map((dtype) =>
    share(rows.flatMap((row, i) => (row.shape === shape ? [said(dtype)[i] === row.output] : []))),
  )
  console.log(`| right, ${shape} | ${cells.join(' | ')} |`)
}
const same = dtypes.map((dtype) => share(said('fp32').map((answer, i) => said(dtype)[i] === answer)))
console.log(`| says what fp32 says | ${same.join(' | ')} |`)
