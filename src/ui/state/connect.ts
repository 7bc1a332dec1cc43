/** Starts the tuning worker. The URL has to be written out like this: it is how the bundler finds the worker. */
import { TunerClient } from '../../client'

export const connect = (): TunerClient =>
  new TunerClient(new Worker(new URL('../../../workers/tuner.ts', import.meta.url), { type: 'module' }))
