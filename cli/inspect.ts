/**
 * `npm run inspect -- MODEL_DIR | HUB_ID | FILE.onnx ... [--device D] [--dtype T] [--reference FILE.json]`
 *
 * One JSON line per model: what it comes to in a sentence (summary), what ops it has, whether it can be tuned, and how far our engine is from
 * onnxruntime (self_test) and from torch (reference). Exit 0 when every model can be tuned and passes; 1 when one can't or fails a check;
 * 2 for wrong arguments. A MODEL_DIR is a folder in the transformers.js layout (config.json, onnx/...), or any folder below which such
 * folders and .onnx files lie: a file is a model, and x_encoder.onnx with x_decoder.onnx (or the hub's names for them) is one.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { parseArgs } from 'node:util'
import { DEVICES } from '../src/engine/engine'
import type { InspectReport } from '../src/protocol'
import { CommandFailed, Headless } from './headless'
import { summaryOf } from './inspect-summary'
import { modelsOf } from './inspect-targets'
import { localName } from './local-model'
import { listFiles } from './serve'

const USAGE =
  'usage: npm run inspect -- MODEL_DIR | HUB_ID | FILE.onnx ... [--device auto|webgpu|wasm|cpu] [--dtype fp32|q8|...] [--reference FILE.json]'

interface Target {
  /** What the report calls it: the argument as given, or the path of its files. */
  readonly label: string
  /** The folder its files come from; null for a hub id or embedded model. */
  readonly directory: string | null
  readonly paths: readonly string[]
  readonly base_model: string
  /** One file, or an encoder's and its decoder's; null for what the layout says. */
  readonly files: readonly string[] | null
}

/** External data lies beside its ONNX file and starts with its name. */
function withExternalData(directory: string, files: readonly string[]): string[] {
  const belongs = (path: string, file: string) =>
    path === file || (path.startsWith(file) && !path.slice(file.length).includes('/'))
  return listFiles(directory).filter((path) => files.some((file) => belongs(path, file)))
}

function someFiles(label: string, directory: string, files: readonly string[]): Target {
  // Files of several folders may have one name: the path makes it the model's own.
  const base_model = localName(files.map((file) => join(directory, file).replaceAll(sep, '-')).join('-'))
  return { label, directory, paths: withExternalData(directory, files), base_model, files }
}

function targetsOf(argument: string): Target[] {
  const path = resolve(argument)
  if (!existsSync(path)) return [{ label: argument, directory: null, paths: [], base_model: argument, files: null }]
  if (!statSync(path).isDirectory()) return [someFiles(argument, dirname(path), [basename(path)])]
  return modelsOf(listFiles(path)).map(({ label, directory, files }) => {
    const shown = join(argument, label)
    if (files) return someFiles(shown, path, files)
    const folder = join(path, directory)
    return {
      label: shown,
      directory: folder,
      paths: listFiles(folder),
      base_model: localName(folder.replaceAll(sep, '-')),
      files: null,
    }
  })
}

function failed(model: string, error: string): InspectReport {
  return {
    model,
    kind: 'unknown',
    ops: {},
    unsupported: [],
    fused: '0/0',
    parameters: 0,
    self_test: null,
    memory: null,
    reference: null,
    error,
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'auto' },
      dtype: { type: 'string', default: 'auto' },
      reference: { type: 'string' },
    },
  })
  if (positionals.length === 0 || !['auto', ...DEVICES].includes(values.device)) {
    console.error(USAGE)
    return 2
  }
  const reference = values.reference === undefined ? null : readFileSync(values.reference, 'utf8')
  const targets = positionals.flatMap(targetsOf)
  if (targets.length === 0) {
    console.error(`no .onnx file below ${positionals.join(', ')}`)
    return 2
  }
  const headless = await Headless.open((line) => console.error(line))
  let good = true
  try {
    for (const target of targets) {
      let report: InspectReport
      try {
        if (target.directory !== null) await headless.addModel(target.base_model, target.directory, target.paths)
        report = await headless.request('inspect', {
          base_model: target.base_model,
          files: target.files,
          model_dtype: values.dtype,
          device: values.device,
          allow_downloads: true,
          reference,
        })
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error
        report = failed(target.label, error.message)
      }
      const { ok, summary } = summaryOf({ ...report, model: target.label })
      console.log(JSON.stringify({ ...report, model: target.label, summary }))
      good &&= ok
    }
  } finally {
    await headless.close()
  }
  return good ? 0 : 1
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error))
  return 1
})
