/**
 * Writes the sample tasks in public/samples/, and the rows of the job files in examples/: `npx tsx pretraining/samples.ts`. Every example is
 * made here, from word lists and sentence patterns of our own, in an order fixed by a seed, so running it again writes the same bytes.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exampleFiles } from './example-rows'
import { sampleFiles } from './sample-files'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

function write(folder: string, files: ReadonlyMap<string, string>): void {
  mkdirSync(join(root, folder), { recursive: true })
  for (const [name, text] of files) writeFileSync(join(root, folder, name), text)
}

write('public/samples', sampleFiles())
write('examples', exampleFiles())
