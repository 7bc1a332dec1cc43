/** Python as the other side of a file format, where this machine has one with the packages asked for. */
import { spawnSync } from 'node:child_process'

/** PROMPTLATHE_PYTHON names one; else what is on the path, and Debian's (python3-torch). */
const CANDIDATES = [process.env.PROMPTLATHE_PYTHON, 'python3', '/usr/bin/python3'].filter((name) => name !== undefined)

/** The first Python that imports all of `modules`; null if none does. */
export function pythonWith(...modules: string[]): string | null {
  const program = modules.length > 0 ? `import ${modules.join(', ')}` : ''
  return CANDIDATES.find((python) => spawnSync(python, ['-c', program]).status === 0) ?? null
}

/** What a Python program prints. @throws with its stderr when it fails */
export function runPython(python: string, args: readonly string[], input = ''): string {
  const { status, stdout, stderr, error } = spawnSync(python, args, { input, encoding: 'utf8', maxBuffer: 2 ** 26 })
  if (error) throw error
  if (status !== 0) throw new Error(`${python} ${args.join(' ')} exited with ${status}:\n${stderr}`)
  return stdout
}
