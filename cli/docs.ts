/** `npm run docs`: writes the pages under docs/ that are made from code. */
import { writeFileSync } from 'node:fs'
import { parametersPage } from './parameters-page'

const path = new URL('../docs/parameters.md', import.meta.url)
writeFileSync(path, parametersPage())
console.log(`written: ${path.pathname}`)
