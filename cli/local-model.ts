/** Folders of this machine as models of the worker. */
import { existsSync, statSync } from 'node:fs'
import { basename } from 'node:path'

export const isDirectory = (path: string): boolean => existsSync(path) && statSync(path).isDirectory()

/** A name transformers.js accepts as a model id. */
export function localName(path: string): string {
  return `local/${basename(path)
    .replace(/[^\w.-]+/g, '-')
    .replace(/\.{2,}|-{2,}/g, '-')}`
}
