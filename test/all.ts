/**
 * `npm test`: everything, fastest first, stopping at the first kind that fails. Each part runs by itself too (see CONTRIBUTING).
 * A browser is found or installed before the parts that need one.
 */
import { spawnSync } from 'node:child_process'
import { findOrInstallChromium } from '../cli/chromium'

interface Part {
  readonly name: string
  readonly command: readonly string[]
}

const PARTS: readonly Part[] = [
  { name: 'format', command: ['prettier', '--check', '--log-level', 'warn', '.'] },
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'lint', command: ['eslint', '--max-warnings', '0', '.'] },
  { name: 'svelte', command: ['svelte-check', '--fail-on-warnings', '--output', 'human'] },
  { name: 'unit', command: ['vitest', 'run'] },
  { name: 'build', command: ['vite', 'build', '--logLevel', 'warn'] },
  { name: 'browser', command: ['vitest', 'run', '--config', 'vitest.browser.config.ts'] },
]

function run(part: Part): boolean {
  const started = Date.now()
  console.log(`\n== ${part.name}: ${part.command.join(' ')}`)
  const [command, ...args] = part.command
  const result = spawnSync('npx', ['--no-install', command ?? '', ...args], { stdio: 'inherit' })
  console.log(`== ${part.name}: ${result.status === 0 ? 'passed' : 'FAILED'} in ${((Date.now() - started) / 1000).toFixed(0)} s`)
  return result.status === 0
}

process.env.CHROMIUM ??= findOrInstallChromium(console.log)
const only = process.argv.slice(2)
const parts = only.length === 0 ? PARTS : PARTS.filter((part) => only.includes(part.name))
if (parts.length === 0) {
  console.error(`no such part: ${only.join(', ')}; there are ${PARTS.map((part) => part.name).join(', ')}`)
  process.exit(2)
}
const failed = parts.find((part) => !run(part))
console.log(failed === undefined ? `\nall ${parts.length} parts passed` : `\n${failed.name} failed`)
process.exit(failed === undefined ? 0 : 1)
