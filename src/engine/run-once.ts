/** A program loaded for a single run, and its outputs read: what checks and measurements need that keep nothing loaded. */
import type { Program } from '../graph/program'
import { EngineError, type Engine, type HostArrays } from './engine'

/** Loads a program for a single run. */
export async function runOnce(engine: Engine, program: Program, feeds: HostArrays): Promise<HostArrays> {
  const executable = await engine.load(program)
  try {
    return await executable.run(feeds)
  } finally {
    await executable.dispose()
  }
}

/** An output as floats. @throws EngineError when it is none */
export function floats(outputs: HostArrays, name: string): Float32Array {
  const values = outputs.get(name)
  if (!(values instanceof Float32Array)) throw new EngineError(`the program gave no float32 "${name}"`)
  return values
}
