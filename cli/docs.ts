/** `npm run docs`: writes the pages under docs/ that are made from code. */
import { writeFileSync } from 'node:fs'
import { generationPage } from './generation-page'
import { parametersPage } from './parameters-page'

const PAGES = { 'parameters.md': parametersPage, 'generation.md': generationPage }

for (const [name, page] of Object.entries(PAGES)) {
  const path = new URL(`../docs/${name}`, import.meta.url)
  writeFileSync(path, page())
  console.log(`written: ${path.pathname}`)
}
