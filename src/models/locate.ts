/**
 * Which files a model is made of, and which of its dtypes to take. Names come from transformers.js (ModelRegistry); where a file is, and
 * how large, is asked of a FileSource.
 */
import { ModelRegistry, type PretrainedConfig } from '@huggingface/transformers'
import type { ModelKind } from './config'
import { AUTO_FLOAT16 } from '../job/parameters'
import { FP32_LIMIT } from './catalogue'
import { ModelError } from './model-error'

/** What transformers.js calls dtypes, in the order in which they are tried when nothing smaller is asked for. */
export const MODEL_DTYPES = ['fp32', 'fp16', 'q8', 'q4', 'q4f16', 'int8', 'uint8', 'bnb4'] as const
export type ModelDtype = (typeof MODEL_DTYPES)[number]

/** Size of a model's file in bytes; undefined when there is no such file; null when there is one of unknown size. */
export type SizeOf = (path: string) => Promise<number | null | undefined>

/** What an ONNX file is of the model: all of it, or one half of an encoder-decoder. */
export type PartRole = 'model' | 'encoder' | 'decoder'

export interface LocatedPart {
  readonly role: PartRole
  readonly onnx: string
  /** External data files, in the order of their names. */
  readonly external: readonly string[]
}

export interface Located {
  readonly model_dtype: ModelDtype
  /** Why this dtype, for people. */
  readonly reason: string
  /** transformers.js' model_file_name, where it is not the default. */
  readonly model_file_name: string | null
  /** One part of a causal model; encoder, then decoder, of an encoder-decoder. All in the same dtype. */
  readonly parts: readonly LocatedPart[]
}

interface Candidate extends Located {
  readonly files: DtypeChoice['files']
  readonly bytes: number | null
}

/** Exports of causal models of transformers.js 2 have only the merged decoder. */
const FILE_NAMES: Readonly<Record<ModelKind, readonly (string | null)[]>> = {
  'causal-lm': [null, 'decoder_model_merged'],
  seq2seq: [null],
}
const ROLES: Readonly<Record<ModelKind, readonly PartRole[]>> = { 'causal-lm': ['model'], seq2seq: ['encoder', 'decoder'] }

/** A model as config.json describes it. */
export interface ModelRef {
  readonly id: string
  readonly kind: ModelKind
  readonly config: PretrainedConfig
  /** transformers.js' model_file_name: names to try in place of the usual ones (null: the default), the first that is there. */
  readonly file_names?: readonly (string | null)[] | undefined
}

/** One dtype of a model: its files and their size. */
export interface DtypeChoice {
  readonly model_dtype: ModelDtype
  readonly model_file_name: string | null
  readonly files: readonly { readonly path: string; readonly bytes: number | null }[]
  /** Of all files; null where one's size is not known. */
  readonly bytes: number | null
}

const megabytes = (bytes: number | null): string =>
  bytes === null ? 'unknown size' : `${Math.max(1, Math.round(bytes / 1e6))} MB`

export const isModelDtype = (dtype: string): dtype is ModelDtype => MODEL_DTYPES.some((known) => known === dtype)

/** The files by part; null when they are not the parts such a model has. */
function partsOf(kind: ModelKind, paths: readonly string[]): readonly LocatedPart[] | null {
  // transformers.js names the encoder first, and each file's external data behind it.
  const files = paths.filter((path) => path.endsWith('.onnx'))
  if (files.length !== ROLES[kind].length) return null
  return ROLES[kind].flatMap((role, index) => {
    const onnx = files[index]
    return onnx === undefined ? [] : [{ role, onnx, external: paths.filter((path) => path.startsWith(`${onnx}_`)) }]
  })
}

async function candidate(
  { id, kind, config }: ModelRef,
  dtype: ModelDtype,
  file: string | null,
  sizeOf: SizeOf,
): Promise<Candidate | null> {
  const options = { config, dtype, device: 'wasm' as const, ...(file === null ? {} : { model_file_name: file }) }
  const paths = (await ModelRegistry.get_model_files(id, options)).filter((path) => path.startsWith('onnx/'))
  const parts = partsOf(kind, paths)
  if (parts === null) return null
  let bytes: number | null = 0
  const files: { path: string; bytes: number | null }[] = []
  for (const path of paths) {
    const size = await sizeOf(path)
    if (size === undefined) return null
    files.push({ path, bytes: size })
    bytes = size === null || bytes === null ? null : bytes + size
  }
  return { model_dtype: dtype, reason: '', model_file_name: file, parts, files, bytes }
}

/** The model's files in `dtypes`, those that exist. */
async function candidates(model: ModelRef, dtypes: readonly ModelDtype[], sizeOf: SizeOf): Promise<Candidate[]> {
  for (const file of model.file_names ?? FILE_NAMES[model.kind]) {
    const found = await Promise.all(dtypes.map((dtype) => candidate(model, dtype, file, sizeOf)))
    const present = found.filter((one) => one !== null)
    if (present.length > 0) return present
  }
  return []
}

/** Every dtype there is of a model, in the order of MODEL_DTYPES, with its files. */
export const choicesOf = async (model: ModelRef, sizeOf: SizeOf): Promise<readonly DtypeChoice[]> =>
  (await candidates(model, MODEL_DTYPES, sizeOf)).map(({ model_dtype, model_file_name, files, bytes }) => ({
    model_dtype,
    model_file_name,
    files,
    bytes,
  }))

/**
 * The names to try for a model's file: the one asked for, or the usual ones and then the one that lies there.
 * @param asked model_file_name; empty: none
 * @param lying names of the files that a dropped folder has
 * @throws ModelError when there are several to choose from, or the kind of model has fixed names
 */
export function namesFor(
  { id, kind }: Pick<ModelRef, 'id' | 'kind'>,
  asked: string,
  lying: readonly string[] = [],
): readonly (string | null)[] {
  const usual = FILE_NAMES[kind]
  if (kind === 'seq2seq') {
    if (asked === '') return usual
    const hint = 'Its files have to be called encoder_model and decoder_model_merged. Leave model_file_name empty.'
    throw new ModelError('invalid', `${id} is an encoder-decoder, and model_file_name is for causal models`, hint)
  }
  if (asked !== '') return [asked]
  // The half of an older export that only goes on from a cache is no model by itself.
  const others = lying.filter((name) => name !== 'decoder_with_past_model' && !usual.includes(name))
  if (lying.some((name) => name === 'model' || usual.includes(name)) || others.length === 0) return usual
  if (others.length === 1) return others
  throw new ModelError(
    'invalid',
    `${id} has several models in onnx/: ${others.slice(0, 8).join(', ')}`,
    'Set model_file_name (under "Device and model file") to one of these names.',
  )
}

const smallest = (found: readonly Candidate[]): Candidate | undefined =>
  [...found].sort((a, b) => (a.bytes ?? Infinity) - (b.bytes ?? Infinity))[0]

/**
 * The files for `model_dtype` (sizes are those of all parts together), or for "auto": fp32 up to 256 MB, else the smallest of fp16 and q8, else whatever there is.
 * @throws ModelError naming the dtypes there are
 */
export async function locate(model: ModelRef, model_dtype: string, sizeOf: SizeOf): Promise<Located> {
  if (model_dtype === 'auto') return locateAuto(model, sizeOf)
  if (model_dtype === AUTO_FLOAT16) {
    const [half] = await candidates(model, ['fp16'], sizeOf)
    if (half) return { ...half, reason: `fp16 (${megabytes(half.bytes)}), as torch_dtype float16 asks` }
    const other = await locateAuto(model, sizeOf)
    return { ...other, reason: `${other.reason}; there is no fp16 file` }
  }
  if (!isModelDtype(model_dtype)) {
    throw new ModelError('invalid', `model_dtype "${model_dtype}" is unknown`, `Use auto or one of ${MODEL_DTYPES.join(', ')}.`)
  }
  const [found] = await candidates(model, [model_dtype], sizeOf)
  if (found) return { ...found, reason: `${model_dtype} as asked (${megabytes(found.bytes)})` }
  const others = (await candidates(model, MODEL_DTYPES, sizeOf)).map((one) => one.model_dtype)
  throw new ModelError(
    'not_found',
    `${model.id} has no ${model_dtype} file`,
    others.length > 0 ? `It has ${others.join(', ')}: set model_dtype to one of them, or to auto.` : noOnnx(model.kind),
  )
}

const noOnnx = (kind: ModelKind): string =>
  `It has no ONNX files that transformers.js knows (${kind === 'seq2seq' ? 'onnx/encoder_model.onnx with onnx/decoder_model_merged.onnx' : 'onnx/model.onnx'} and the like). Pick another model, or export this one with optimum.`

async function locateAuto(model: ModelRef, sizeOf: SizeOf): Promise<Located> {
  const usual = await candidates(model, ['fp32', 'fp16', 'q8'], sizeOf)
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
  const any = fp32 ?? smallest(await candidates(model, MODEL_DTYPES, sizeOf))
  if (!any) throw new ModelError('not_found', `${model.id} has no ONNX model file`, noOnnx(model.kind))
  return { ...any, reason: `${any.model_dtype} (${megabytes(any.bytes)}), the only kind there is` }
}
