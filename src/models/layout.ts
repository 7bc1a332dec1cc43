/**
 * Models as lists of files: brings a folder from anywhere into the layout that transformers.js looks for (config.json and tokenizer at the top,
 * ONNX files in onnx/), and says what a repository or folder lacks to be such a model. It knows paths only, and reads no file.
 */
import { MODEL_DTYPES, type ModelDtype } from './locate'
import { ModelError } from './model-error'

/** What transformers.js puts behind a file's name, by dtype. */
const SUFFIXES: Readonly<Record<ModelDtype, string>> = {
  fp32: '',
  fp16: '_fp16',
  q8: '_quantized',
  q4: '_q4',
  q4f16: '_q4f16',
  int8: '_int8',
  uint8: '_uint8',
  bnb4: '_bnb4',
}

/** Where the files are: that decides what a person can do about one that is missing. */
export type Origin = 'hub' | 'folder' | 'browser'

const CONVERT =
  'Pick another model, or convert this one to ONNX: huggingface.co/spaces/onnx-community/convert-to-onnx does it in the browser; on a machine of your own, transformers.js\' scripts/convert.py or "optimum-cli export onnx".'

const WHERE: Readonly<Record<Origin, string>> = { hub: 'on the hub', folder: 'in the folder', browser: 'in this browser' }

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)
const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1)
const isOnnx = (path: string): boolean => path.endsWith('.onnx')
/** External data lies beside its ONNX file, by the name that the file itself says: model.onnx_data, model.onnx.data, weights.bin. */
const isWeights = (path: string): boolean => /\.(onnx|onnx[._]data(_\d+)?|data|bin|weights?)$/.test(path)

/** "model" of model_q4.onnx, with its dtype. */
export function splitName(path: string): { readonly name: string; readonly model_dtype: ModelDtype } {
  const name = nameOf(path).replace(/\.onnx$/, '')
  const model_dtype = MODEL_DTYPES.find((dtype) => SUFFIXES[dtype] !== '' && name.endsWith(SUFFIXES[dtype])) ?? 'fp32'
  return { name: name.slice(0, name.length - SUFFIXES[model_dtype].length), model_dtype }
}

/** Names (model_file_name) of the ONNX files in onnx/, each once. */
export const fileNames = (paths: Iterable<string>): readonly string[] => [
  ...new Set([...paths].filter((path) => /^onnx\/[^/]+\.onnx$/.test(path)).map((path) => splitName(path).name)),
]

/** @throws ModelError naming the first path that no file of a folder can have, or that two files have */
export function checkPaths(name: string, paths: readonly string[]): void {
  const seen = new Set<string>()
  for (const path of paths) {
    const wrong = /[\\\p{Cc}]/u.test(path) || path.split('/').some((part) => part === '' || part === '.' || part === '..')
    if (wrong || seen.has(path)) {
      const why = wrong ? "can't be the path of a model's file" : 'is there twice'
      throw new ModelError(
        'invalid',
        `${name}: ${JSON.stringify(path.slice(0, 200))} ${why}`,
        "Choose the model's folder as it was downloaded.",
      )
    }
    seen.add(path)
  }
}

/**
 * Where each file of a folder belongs in the layout: new path -> path as it came. The folder around config.json is taken off, wherever that
 * lies; ONNX files beside config.json, or in one folder of another name, come into onnx/.
 * @throws ModelError when there is no config.json, or one of several models has to be chosen
 */
export function arrange(name: string, paths: readonly string[]): ReadonlyMap<string, string> {
  const top = modelFolder(name, paths)
  const own = paths.filter((path) => path.startsWith(top))
  const relative = own.map((path) => path.slice(top.length))
  const from = relative.some((path) => path.startsWith('onnx/') && isOnnx(path)) ? 'onnx/' : onnxFolder(relative)
  const placed = new Map<string, string>()
  for (const [i, path] of relative.entries()) {
    const moves =
      from !== null && folderOf(path) === from && isWeights(path) && !/^(pytorch|tf|flax)_model|^training_args/.test(path)
    const place = moves ? `onnx/${nameOf(path)}` : path
    const other = placed.get(place)
    if (other !== undefined) {
      throw new ModelError(
        'invalid',
        `${name} has two files for ${place}: ${other} and ${own[i] ?? path}`,
        'Take one of them out of the folder.',
      )
    }
    placed.set(place, own[i] ?? path)
  }
  return placed
}

/** The folder of the one config.json that is the model's, with a slash behind it (or empty). */
function modelFolder(name: string, paths: readonly string[]): string {
  const configs = [...new Set(paths.filter((path) => nameOf(path) === 'config.json').map(folderOf))]
  const depth = (folder: string): number => folder.split('/').length
  const least = Math.min(...configs.map(depth))
  const [first, ...others] = configs.filter((folder) => depth(folder) === least)
  if (first === undefined) {
    const onnx = paths.find(isOnnx)
    throw new ModelError(
      'not_found',
      onnx === undefined ? `${name} has no config.json and no ONNX file` : `${name} has ${nameOf(onnx)}, but no config.json`,
      onnx === undefined
        ? 'Choose the folder of a model: config.json, tokenizer.json, tokenizer_config.json and onnx/model.onnx.'
        : 'An ONNX file alone does not say what the model is, nor how it reads text. Choose its whole folder: config.json, tokenizer.json and tokenizer_config.json lie beside it on the hub.',
    )
  }
  if (others.length > 0) {
    const all = [first, ...others].map((folder) => folder.replace(/\/$/, ''))
    throw new ModelError(
      'invalid',
      `${name} holds ${all.length} models: ${all.slice(0, 6).join(', ')}${all.length > 6 ? ', …' : ''}`,
      'Choose the folder of one of them.',
    )
  }
  return first
}

/** The one folder that holds ONNX files, where it is not called onnx/; the one around config.json first. */
function onnxFolder(paths: readonly string[]): string | null {
  const folders = [...new Set(paths.filter(isOnnx).map(folderOf))]
  if (folders.includes('')) return ''
  return folders.length === 1 ? (folders[0] ?? null) : null
}

/** What the files of a model lack to be loaded, by name; null when the names are all there. */
export function whatIsMissing(id: string, paths: readonly string[], origin: Origin): ModelError | null {
  const has = new Set(paths)
  const missing = (message: string, hint: string): ModelError => new ModelError('not_found', `${id} ${message}`, hint)
  const where = WHERE[origin]
  const onnx = paths.filter((path) => path.startsWith('onnx/') && isOnnx(path))
  if (!has.has('config.json')) {
    return missing(
      `has no config.json ${where}`,
      origin === 'hub'
        ? 'It is not a model that transformers.js can load. Pick another.'
        : "Add the config.json that lies beside the model's weights on the hub.",
    )
  }
  if (onnx.length === 0) return noOnnx(id, paths, where)
  const tokenizer = ['tokenizer.json', 'tokenizer_config.json'].filter((path) => !has.has(path))
  if (tokenizer.length > 0) {
    const slow = paths.some((path) => /(^|\/)(spiece\.model|tokenizer\.model|vocab\.json|source\.spm)$/.test(path))
    return missing(
      `has no ${tokenizer.join(' and no ')} ${where}`,
      slow && tokenizer.includes('tokenizer.json')
        ? 'It has only the older tokenizer files. In Python, AutoTokenizer.from_pretrained(…, use_fast=True).save_pretrained(folder) writes tokenizer.json from them; add it to the folder and drop that here.'
        : origin === 'hub'
          ? 'The tokenizer turns text into tokens; the model is of no use without it. Pick another model, or download it, add these files from the model it was made of, and drop the folder here.'
          : 'The tokenizer turns text into tokens; the model is of no use without it. Add these files, from where the model comes from, and choose the folder again.',
    )
  }
  return halfOfTwo(id, onnx)
}

function noOnnx(id: string, paths: readonly string[], where: string): ModelError {
  const kinds: readonly (readonly [RegExp, string])[] = [
    [/\.safetensors$|(^|\/)pytorch_model.*\.bin$/, 'PyTorch weights'],
    [/\.gguf$/, 'GGUF files (for llama.cpp)'],
    [/(^|\/)tf_model\.h5$|flax_model\.msgpack$/, 'TensorFlow or Flax weights'],
    [/\.mlmodel|\.mlpackage/, 'Core ML files'],
  ]
  const other = kinds.find(([pattern]) => paths.some((path) => pattern.test(path)))?.[1]
  const elsewhere = paths.find(isOnnx)
  const only =
    elsewhere === undefined ? (other === undefined ? '' : `, only ${other}`) : `; its ONNX files lie elsewhere (${elsewhere})`
  return new ModelError(
    'not_found',
    `${id} has no ONNX files in onnx/ ${where}${only}`,
    elsewhere === undefined
      ? CONVERT
      : 'transformers.js looks in onnx/ only. Download the model and drop the folder here: the files are found there wherever they lie.',
  )
}

/** An encoder-decoder needs both halves, and the decoder as one file. */
function halfOfTwo(id: string, onnx: readonly string[]): ModelError | null {
  const names = fileNames(onnx)
  const encoder = names.includes('encoder_model')
  if (!encoder || names.includes('decoder_model_merged')) return null
  const unmerged = names.includes('decoder_model')
  return new ModelError(
    'not_found',
    `${id} has onnx/encoder_model.onnx, but no onnx/decoder_model_merged.onnx${unmerged ? ' (only the unmerged decoder_model.onnx)' : ''}`,
    'transformers.js runs the merged decoder. Export the model again with "optimum-cli export onnx --task text2text-generation-with-past", which merges it.',
  )
}
