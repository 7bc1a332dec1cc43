/**
 * Which files a model is made of, and which of its dtypes to take. Names come from transformers.js (ModelRegistry); where a file is, and
 * how large, is asked of a FileSource.
 */
import { ModelRegistry, type PretrainedConfig } from '@huggingface/transformers'
import { ModelError } from './model-error'

/** What transformers.js calls dtypes, in the order in which they are tried when nothing smaller is asked for. */
export const MODEL_DTYPES = ['fp32', 'fp16', 'q8', 'q4', 'q4f16', 'int8', 'uint8', 'bnb4'] as const
export type ModelDtype = (typeof MODEL_DTYPES)[number]

/** fp32 is taken as long as its file has at most this size: it is the most exact, and not yet slow. */
export const FP32_LIMIT = 256 * 1000 * 1000

/** Size of a model's file in bytes; undefined when there is no such file; null when there is one of unknown size. */
export type SizeOf = (path: string) => Promise<number | null | undefined>

export interface Located {
  readonly model_dtype: ModelDtype
  /** Why this dtype, for people. */
  readonly reason: string
  /** transformers.js' model_file_name, where it is not the default. */
  readonly model_file_name: string | null
  readonly onnx: string
  /** External data files, in the order of their names. */
  readonly external: readonly string[]
}

interface Candidate extends Located {
  readonly bytes: number | null
}

/** Exports of transformers.js 2 have only the merged decoder. */
const FILE_NAMES = [null, 'decoder_model_merged'] as const

const megabytes = (bytes: number | null): string =>
  bytes === null ? 'unknown size' : `${Math.max(1, Math.round(bytes / 1e6))} MB`

export const isModelDtype = (dtype: string): dtype is ModelDtype => MODEL_DTYPES.some((known) => known === dtype)

async function candidate(
  id: string,
  config: PretrainedConfig,
  dtype: ModelDtype,
  file: string | null,
  sizeOf: SizeOf,
): Promise<Candidate | null> {
  const options = { config, dtype, device: 'wasm' as const, ...(file === null ? {} : { model_file_name: file }) }
  const paths = (await ModelRegistry.get_model_files(id, options)).filter((path) => path.startsWith('onnx/'))
  const [onnx, ...external] = paths
  if (onnx === undefined || paths.filter((path) => path.endsWith('.onnx')).length !== 1) return null
  let bytes: number | null = 0
  for (const path of paths) {
    const size = await sizeOf(path)
    if (size === undefined) return null
    bytes = size === null || bytes === null ? null : bytes + size
  }
  return { model_dtype: dtype, reason: '', model_file_name: file, onnx, external, bytes }
}

/** The model's files in `dtypes`, those that exist. */
async function candidates(
  id: string,
  config: PretrainedConfig,
  dtypes: readonly ModelDtype[],
  sizeOf: SizeOf,
): Promise<Candidate[]> {
  for (const file of FILE_NAMES) {
    const found = await Promise.all(dtypes.map((dtype) => candidate(id, config, dtype, file, sizeOf)))
    const present = found.filter((one) => one !== null)
    if (present.length > 0) return present
  }
  return []
}

const smallest = (found: readonly Candidate[]): Candidate | undefined =>
  [...found].sort((a, b) => (a.bytes ?? Infinity) - (b.bytes ?? Infinity))[0]

/**
 * The files for `model_dtype`, or for "auto": fp32 up to 256 MB, else the smallest of fp16 and q8, else whatever there is.
 * @throws ModelError naming the dtypes there are
 */
export async function locate(id: string, config: PretrainedConfig, model_dtype: string, sizeOf: SizeOf): Promise<Located> {
  if (model_dtype === 'auto') return locateAuto(id, config, sizeOf)
  if (!isModelDtype(model_dtype)) {
    throw new ModelError('invalid', `model_dtype "${model_dtype}" is unknown`, `Use auto or one of ${MODEL_DTYPES.join(', ')}.`)
  }
  const [found] = await candidates(id, config, [model_dtype], sizeOf)
  if (found) return { ...found, reason: `${model_dtype} as asked (${megabytes(found.bytes)})` }
  const others = (await candidates(id, config, MODEL_DTYPES, sizeOf)).map((one) => one.model_dtype)
  throw new ModelError(
    'not_found',
    `${id} has no ${model_dtype} file`,
    others.length > 0 ? `It has ${others.join(', ')}: set model_dtype to one of them, or to auto.` : noOnnx,
  )
}

const noOnnx =
  'It has no ONNX files that transformers.js knows (onnx/model.onnx and the like). Pick another model, or export this one with optimum.'

async function locateAuto(id: string, config: PretrainedConfig, sizeOf: SizeOf): Promise<Located> {
  const usual = await candidates(id, config, ['fp32', 'fp16', 'q8'], sizeOf)
  const fp32 = usual.find((one) => one.model_dtype === 'fp32')
  if (fp32 && fp32.bytes !== null && fp32.bytes <= FP32_LIMIT) {
    return { ...fp32, reason: `fp32 (${megabytes(fp32.bytes)}), the most exact` }
  }
  const small = smallest(usual.filter((one) => one !== fp32))
  if (small) {
    const beside = fp32 ? `; fp32 would be ${megabytes(fp32.bytes)}` : ''
    return {
      ...small,
      reason: `${small.model_dtype} (${megabytes(small.bytes)}), the smallest that is still close to exact${beside}`,
    }
  }
  const any = fp32 ?? smallest(await candidates(id, config, MODEL_DTYPES, sizeOf))
  if (!any) throw new ModelError('not_found', `${id} has no ONNX model file`, noOnnx)
  return { ...any, reason: `${any.model_dtype} (${megabytes(any.bytes)}), the only kind there is` }
}
