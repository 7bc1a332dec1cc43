/** Folders of this machine as models of the worker. */
import { existsSync, statSync } from 'node:fs'
import { basename } from 'node:path'

export const isDirectory = (path: string): boolean => existsSync(path) && statSync(path).isDirectory()

/** The most characters a model id's name has, and some less. */
const NAME_LENGTH = 90

/** A name transformers.js accepts as a model id; of a long one the end. */
export function localName(path: string): string {
  const name = basename(path)
    .replace(/[^\w.-]+/g, '-')
    .replace(/\.{2,}|-{2,}/g, '-')
  return `local/${name.slice(-NAME_LENGTH).replace(/^\W+/, '')}`
}
