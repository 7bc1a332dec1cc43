/**
 * Which models a folder holds, for `npm run inspect`: folders in the transformers.js layout, encoder and decoder files that belong together
 * by their names, and single files. It goes by names alone; what is in the files is the worker's business.
 */
import { basename, dirname, join } from 'node:path/posix'

export interface FolderModel {
  /** What the report calls it, below the folder. */
  readonly label: string
  /** The folder its files come from, below the one given ('' is that one itself). */
  readonly directory: string
  /** One ONNX file, or an encoder's and its decoder's, below `directory`; null for the layout's own choice. */
  readonly files: readonly string[] | null
}

/** The layout's subfolder. */
const ONNX_FOLDER = /(?:^|\/)onnx$/

/**
 * @param paths all files of a folder, with forward slashes
 * @returns one entry a model, in order of their labels
 */
export function modelsOf(paths: readonly string[]): FolderModel[] {
  const onnx = paths.filter((path) => path.endsWith('.onnx'))
  const layouts = new Set<string>()
  for (const path of onnx) {
    const folder = dirname(path)
    const parent = dirname(folder) === '.' ? '' : dirname(folder)
    if (ONNX_FOLDER.test(folder) && paths.includes(join(parent, 'config.json'))) layouts.add(parent)
  }
  const models: FolderModel[] = [...layouts].map((directory) => ({ label: directory, directory, files: null }))
  const rest = onnx.filter((path) => !layouts.has(parentOfOnnx(path)))
  for (const files of grouped(rest)) models.push({ label: labelOf(files), directory: '', files })
  return models.sort((a, b) => (a.label < b.label ? -1 : 1))
}

/** The folder whose onnx/ holds the file; a name no folder has otherwise. */
function parentOfOnnx(path: string): string {
  const folder = dirname(path)
  if (!ONNX_FOLDER.test(folder)) return '\0'
  return dirname(folder) === '.' ? '' : dirname(folder)
}

/** "a_encoder.onnx + a_decoder.onnx" of one folder. */
const labelOf = ([first = '', ...others]: readonly string[]): string =>
  [first, ...others.map((path) => basename(path))].join(' + ')

interface Half {
  readonly path: string
  readonly role: 'encoder' | 'decoder'
  /** What an encoder and its decoder have in common: folder, what stands before the role, and the dtype suffix. */
  readonly key: string
}

/** Of a decoder's name, what says how it was exported and not which model or precision it is. */
const FORM = /_(?:model|merged|with_past|nopast)(?=_|$)/g

function halfOf(path: string): Half | null {
  const stem = basename(path, '.onnx')
  const found = /^(.*?)(encoder|decoder|dec)(_.*)?$/.exec(stem)
  const [, before = '', role = '', after = ''] = found ?? []
  if (!found || !/^$|[_.-]$/.test(before)) return null
  const key = [dirname(path), before, after.replace(FORM, '')].join('\0')
  return { path, role: role === 'encoder' ? 'encoder' : 'decoder', key }
}

/** Decoders with their encoder; files that are neither, or lack the other half, alone. */
function grouped(paths: readonly string[]): string[][] {
  const halves = new Map(paths.map((path) => [path, halfOf(path)]))
  const encoders = new Map<string, string>()
  for (const half of halves.values()) if (half?.role === 'encoder') encoders.set(half.key, half.path)
  const paired = new Set<string>()
  const groups: string[][] = []
  for (const [path, half] of halves) {
    const encoder = half?.role === 'decoder' ? encoders.get(half.key) : undefined
    if (encoder === undefined) continue
    groups.push([encoder, path])
    paired.add(encoder).add(path)
  }
  return [...groups, ...paths.filter((path) => !paired.has(path)).map((path) => [path])]
}
