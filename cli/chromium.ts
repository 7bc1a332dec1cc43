/**
 * Finds a Chromium that playwright-core can drive, or installs one, and knows the flags under which a headless one offers
 * WebGPU. Used by the command line and by every browser test; it knows nothing of pages.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { chromium, type LaunchOptions } from 'playwright-core'

/** Names to look for on PATH, most specific first. */
const COMMANDS = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome']

const BROWSER_FLAGS = [
  // chromium-headless-shell has no WebGPU; the full browser's new headless mode has.
  '--headless=new',
  // Without a GPU this offers Chromium's software adapter (SwiftShader); with one, the real adapter.
  '--enable-unsafe-webgpu',
  // A closed network makes Chromium's own background requests fail by the hundred.
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
]

function onPath(command: string): string | null {
  const found = spawnSync('sh', ['-c', `command -v ${command}`], { encoding: 'utf8' })
  return found.status === 0 ? found.stdout.trim() : null
}

function alreadyHere(): string | null {
  const fromEnvironment = process.env.CHROMIUM
  if (fromEnvironment) {
    if (!existsSync(fromEnvironment)) throw new Error(`CHROMIUM is set to "${fromEnvironment}", which does not exist`)
    return fromEnvironment
  }
  const downloaded = chromium.executablePath()
  if (downloaded && existsSync(downloaded)) return downloaded
  for (const command of COMMANDS) {
    const path = onPath(command)
    if (path) return path
  }
  const mac = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'
  return existsSync(mac) ? mac : null
}

/**
 * Path of a Chromium. Looks at $CHROMIUM, Playwright's own download and PATH; failing those installs Playwright's, and
 * where that can't be downloaded, Debian's package.
 * @throws Error naming what was tried.
 */
export function findOrInstallChromium(log: (line: string) => void = console.error): string {
  const here = alreadyHere()
  if (here) return here
  const tried: string[] = []
  log('No Chromium found; installing one (npx playwright install chromium)')
  try {
    const playwright = join(dirname(createRequire(import.meta.url).resolve('playwright-core/package.json')), 'cli.js')
    execFileSync(process.execPath, [playwright, 'install', '--with-deps', 'chromium'], { stdio: 'inherit', timeout: 600_000 })
  } catch (error) {
    tried.push(`playwright install chromium: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (existsSync(chromium.executablePath())) return chromium.executablePath()
  if (onPath('apt-get')) {
    const sudo = process.getuid?.() === 0 ? [] : ['sudo']
    log("That did not work; installing Debian's package (apt-get install chromium)")
    for (const args of [
      ['apt-get', 'update', '-qq'],
      ['apt-get', 'install', '-y', '-qq', 'chromium'],
    ]) {
      const [command, ...rest] = [...sudo, ...args]
      const result = spawnSync(command ?? 'apt-get', rest, { stdio: 'inherit', timeout: 900_000 })
      if (result.status !== 0) tried.push(`${args.join(' ')}: exit ${result.status ?? 'signal'}`)
    }
  }
  const now = alreadyHere()
  if (now) return now
  throw new Error(
    `No Chromium found or installable. Install Chromium or Chrome, or set CHROMIUM to its path.\n${tried.join('\n')}`,
  )
}

/** Launch options of playwright-core for a headless Chromium with WebGPU. */
export function launchOptions(): LaunchOptions {
  const root = process.getuid?.() === 0
  return { executablePath: findOrInstallChromium(), headless: true, args: [...BROWSER_FLAGS, ...(root ? ['--no-sandbox'] : [])] }
}
