/**
 * `npm run families [-- --family F] [--precision P]`: every export below test/fixtures in every precision, through our reading of it on the
 * wasm engine: how far logits are from onnxruntime's on the same file, and gradients from torch's or from those of a float32 model with the
 * same weights. Writes bench/results/families.md (with a filter it only prints). Exit 1 when any bound of test/support/families/parity.ts breaks.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as ort from 'onnxruntime-web'
import { ROOT } from '../cli/serve'
import { createOrtEngine } from '../src/engine/ort/ort-engine'
import { createTfjsEngine } from '../src/engine/tfjs/tfjs-engine'
import { exportEntries, OLDER_ENTRIES, STORED_ENTRIES, type Entry } from '../test/support/families/entries'
import { cellOf, gradientOf, torchOf, torchProblems, type Cell } from '../test/support/families/report'
import { PRECISIONS, type Precision } from '../test/support/quantize'

interface Row {
  readonly entry: Entry
  readonly cells: ReadonlyMap<Precision, Cell>
  /** The same float32 file on the tfjs cpu engine against torch: one style of each family. */
  readonly cpu: { readonly logits: number; readonly gradient: number } | null
}

const digits = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : value.toExponential(0)

function cellText(cell: Cell | undefined): string {
  if (!cell) return ''
  if (!cell.parity || cell.parity.unsupported.length > 0) return '**refused**'
  const text = `${digits(cell.parity.logits)} / ${digits(gradientOf(cell))}`
  return cell.problems.length > 0 ? `**${text}**` : text
}

function table(rows: readonly Row[]): string {
  const precisions = PRECISIONS.filter((precision) => rows.some(({ cells }) => cells.has(precision)))
  const head = ['family', 'style', 'opset', 'ops', ...precisions, 'finite differences', 'cpu engine']
  const lines = rows.map(({ entry, cells, cpu }) => {
    const fp32 = cells.get('fp32')?.parity
    const covered = fp32 ? `${fp32.ops - fp32.unsupported.length} / ${fp32.ops}` : '–'
    const measured = precisions.map((precision) => cellText(cells.get(precision)))
    const onCpu = cpu ? `${digits(cpu.logits)} / ${digits(cpu.gradient)}` : ''
    return [entry.family, entry.style, String(entry.opset), covered, ...measured, digits(fp32?.finite_difference), onCpu]
  })
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

const INTRO = `# Families x export style x precision

Made by \`npm run families\`. A cell is \`max |logit difference| / max gradient difference\`, the first relative to the largest logit, the second to the
largest entry of the gradient. Logits are compared with onnxruntime's on the very file (batch of 2, right-padded); the gradient of float32
files with torch's autograd (encoder-decoders: at both embedding lookups), of the others with ours of a float32 graph whose weights are
the numbers the file's stand for ("twin"; activation rounding is straight-through). "finite differences": our gradient against onnxruntime's
central differences on the float32 file. "ops": nodes behind the embedding lookup that we compute / that there are. "cpu engine": one style
of each family on the tfjs cpu engine against torch.

Bounds: 1e-4 (float32, q4 and bnb4; every gradient), 2e-2 for logits of fp16 and q4f16 (onnxruntime rounds what goes from node to node to
float16, we compute in float32; against the float32 twin the bound is 1e-4) and of q8, int8 and uint8 (one rounding of an activation that falls the
other way is worth a 255th of a layer's input), 2e-2 for finite differences. Bold breaks its bound.
`

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { family: { type: 'string' }, precision: { type: 'string' } } })
  const chosen = (entry: Entry): boolean => values.family === undefined || entry.family === values.family
  const precisions = PRECISIONS.filter((precision) => values.precision === undefined || precision === values.precision)
  const engine = await createOrtEngine({ ort, threads: 1 })
  const cpu = await createTfjsEngine({ backend: 'cpu' })
  const rows: Row[] = []
  const problems: string[] = []
  const seen = new Set<string>()
  for (const entry of [...exportEntries(), ...OLDER_ENTRIES, ...STORED_ENTRIES].filter(chosen)) {
    const cells = new Map<Precision, Cell>()
    for (const precision of entry.stored === 'fp32' ? precisions : precisions.filter((precision) => precision === entry.stored)) {
      const cell = await cellOf(entry, precision, engine)
      cells.set(precision, cell)
      problems.push(...cell.problems.map((problem) => `${entry.family} ${entry.style} ${precision}: ${problem}`))
    }
    const first = entry.reference !== null && !seen.has(entry.family)
    const onCpu = first && cells.get('fp32')?.problems.length === 0 ? await torchOf(entry, cpu) : null
    if (onCpu) problems.push(...torchProblems(onCpu).map((problem) => `${entry.family} ${entry.style} cpu: ${problem}`))
    seen.add(entry.family)
    rows.push({ entry, cells, cpu: onCpu })
    console.error(
      `${entry.family} ${entry.style}: ${[...cells].map(([precision, cell]) => `${precision} ${cellText(cell)}`).join(', ')}`,
    )
  }
  const text = `${INTRO}\n${table(rows)}\n${problems.length > 0 ? `\n## Broken\n\n${problems.map((p) => `- ${p}`).join('\n')}\n` : ''}`
  if (values.family === undefined && values.precision === undefined)
    writeFileSync(join(ROOT, 'bench', 'results', 'families.md'), text)
  else console.log(text)
  for (const problem of problems) console.error(problem)
  await Promise.all([engine.dispose(), cpu.dispose()])
  return problems.length > 0 ? 1 : 0
}

process.exitCode = await main()
