/**
 * `npm run inspect -- MODEL_DIR | HUB_ID | FILE.onnx ... [--device D] [--dtype T] [--reference FILE.json]`
 *
 * One JSON line per model: what ops it has, whether it can be tuned, and how far our engine is from onnxruntime (self_test) and from torch
 * (reference). Exit 0 when every model can be tuned and passes; 1 when one can't or fails a check; 2 for wrong arguments.
 * A MODEL_DIR is a folder in the transformers.js layout (config.json, onnx/...), or any folder of .onnx files, inspected one by one.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { DEVICES } from '../src/engine/engine'
import type { InspectReport } from '../src/protocol'
import { CommandFailed, Headless } from './headless'
import { localName } from './local-model'
import { listFiles } from './serve'

const USAGE =
  'usage: npm run inspect -- MODEL_DIR | HUB_ID | FILE.onnx ... [--device auto|webgpu|wasm|cpu] [--dtype fp32|q8|...] [--reference FILE.json]'

interface Target {
  /** What the report calls it: the argument as given, or the file's path. */
  readonly label: string
  /** The folder its files come from; null for a hub id or embedded model. */
  readonly directory: string | null
  readonly paths: readonly string[]
  readonly base_model: string
  readonly file: string | null
}

/** External data lies beside its ONNX file and starts with its name. */
function withExternalData(directory: string, file: string): string[] {
  return listFiles(directory).filter((path) => path === file || (path.startsWith(file) && !path.slice(file.length).includes('/')))
}

function oneFile(label: string, directory: string, file: string): Target {
  return { label, directory, paths: withExternalData(directory, file), base_model: localName(join(directory, file)), file }
}

function targetsOf(argument: string): Target[] {
  const path = resolve(argument)
  if (!existsSync(path)) return [{ label: argument, directory: null, paths: [], base_model: argument, file: null }]
  if (!statSync(path).isDirectory()) return [oneFile(argument, dirname(path), basename(path))]
  const files = listFiles(path)
  if (files.includes('config.json'))
    return [{ label: argument, directory: path, paths: files, base_model: localName(path), file: null }]
  return files.filter((file) => file.endsWith('.onnx')).map((file) => oneFile(join(argument, file), path, file))
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
          file: target.file,
          model_dtype: values.dtype,
          device: values.device,
          allow_downloads: true,
          reference,
        })
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error
        report = failed(target.label, error.message)
      }
      console.log(JSON.stringify({ ...report, model: target.label }))
      const ok =
        report.error === null &&
        report.unsupported.length === 0 &&
        report.self_test?.ok !== false &&
        report.reference?.ok !== false
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
